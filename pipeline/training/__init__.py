"""Fitting a network: the data of an epoch, the ways of fitting, pseudo-spoofs, devices and the state on disk."""
