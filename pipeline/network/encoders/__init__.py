"""Pretrained speech encoders as Keras layers, and the reading of their weights from the folders of their publishers."""
