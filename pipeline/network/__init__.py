"""The network: front end, augmentation, backbones and head as one Keras model, and the files it is exported to."""
