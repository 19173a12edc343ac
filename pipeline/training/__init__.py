"""Training: data of an epoch, the loop, two ways of fitting, pseudo-spoofs, devices and the state on disk."""
