"""Pretrained speech encoders as Keras layers: their weights from disk, and the pooling of their layers' outputs.

An encoder layer takes waveforms ``[batch, samples]`` and returns the states of all its kept blocks,
``[batch, layers, frames, channels]``, the input of the first block in front.
"""
