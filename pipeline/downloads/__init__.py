"""Corpora and speech encoders from their publishers: addresses, download of files, unpacking of archives."""
