"""The Store: a corpus decoded once, its Manifest, its splits, and the audit of its shortcuts."""
