"""Corpora from their publishers: where they are, how files are fetched, and how archives are unpacked."""
