"""Base of the front ends' layers: fixed arithmetic in float32, with settings that are saved with the model."""

import inspect

import keras


class FixedLayer(keras.Layer):
    """Layer without training, in float32 under any precision policy. By default shapes are kept.

    A subclass annotates its settings (``n_fft: int``). They are keyword arguments, all required, and its configuration.
    """

    def __init__(self, **kwargs):
        own = {name: kwargs.pop(name) for name in self.settings()}
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        for name, value in own.items():
            setattr(self, name, value)

    @classmethod
    def settings(cls) -> list[str]:
        """Names of the settings, those of base classes first."""
        bases = [base for base in reversed(cls.__mro__) if issubclass(base, FixedLayer)]
        return [name for base in bases for name in inspect.get_annotations(base)]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.settings()}}
