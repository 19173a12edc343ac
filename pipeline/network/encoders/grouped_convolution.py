"""Convolution in groups over time, in operations that every device and runtime has."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="spoof")
class GroupedConvolution(keras.Layer):
    """Convolution of each group of channels with filters of its own, zeros around it, as many frames out as in.

    One convolution a group: TensorFlow has no gradient of a grouped one on CPUs, and LiteRT no grouped one in time.

    Input and output shape ``[batch, frames, channels]``.

    Parameters
    ----------
    kernel_size : frames of the filters; an even one looks a frame further back than ahead.
    groups : number of groups, which divides the channels.

    Example
    -------
    >>> GroupedConvolution(kernel_size=4, groups=2)(np.zeros((1, 50, 8), "float32")).shape
    TensorShape([1, 50, 8])
    """

    use_bias = True

    def __init__(self, *, kernel_size: int, groups: int, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size, self.groups = kernel_size, groups

    def build(self, input_shape):
        channels = input_shape[-1]
        self.kernel = self.add_weight(shape=(self.kernel_size, channels // self.groups, channels), name="kernel")
        self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

    def call(self, x):
        before = self.kernel_size // 2
        x = ops.pad(x, [[0, 0], [before, self.kernel_size - 1 - before], [0, 0]])
        parts = zip(ops.split(x, self.groups, axis=-1), ops.split(self.kernel, self.groups, axis=-1), strict=True)
        convolved = [ops.conv(part, kernel, padding="valid") for part, kernel in parts]
        return ops.concatenate(convolved, axis=-1) + self.bias  # (batch, frames, channels)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size, "groups": self.groups}
