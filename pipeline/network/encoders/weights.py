"""Assignment of published tensors to Keras variables: names and layouts of PyTorch to ours, each checked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np

from pipeline.errors import EncoderError


@dataclass(frozen=True)
class Weight:
    """Variable, and the order of a published tensor's axes in it."""

    variable: keras.Variable
    axes: tuple[int, ...] | None = None

    def assign(self, tensor: np.ndarray) -> None:
        """Assign a published tensor; raises ``ValueError`` for another shape."""
        shape = tuple(self.variable.shape)
        wanted = tuple(shape[self.axes.index(axis)] for axis in range(len(shape))) if self.axes else shape
        if tensor.shape != wanted:
            raise ValueError(f"has the shape {list(tensor.shape)}, and config.json needs {list(wanted)}")
        self.variable.assign(tensor.transpose(self.axes) if self.axes else tensor)

    def published(self) -> np.ndarray:
        """The variable in the published layout."""
        value = np.array(self.variable)
        return value.transpose(np.argsort(self.axes)) if self.axes else value


def dense(name: str, layer: keras.layers.Dense) -> dict[str, Weight]:
    """Weights of a dense layer, whose published kernel is ``[units, inputs]``."""
    return _kernel(name, layer, (1, 0))


def convolution(name: str, layer: keras.layers.Conv1D) -> dict[str, Weight]:
    """Weights of a convolution, whose published kernel is ``[filters, channels, samples]``."""
    return _kernel(name, layer, (2, 1, 0))


def norm(name: str, layer: keras.layers.LayerNormalization) -> dict[str, Weight]:
    """Weights of a normalisation layer."""
    return {f"{name}.weight": Weight(layer.gamma), f"{name}.bias": Weight(layer.beta)}


def assign(weights: dict[str, Weight], tensors: dict[str, Callable[[], np.ndarray]], extra: Iterable[str]) -> None:
    """Assign a published tensor to each weight; raises ``EncoderError`` naming what is missing, unknown or misfits."""
    for problem, names in (("missing", sorted(weights.keys() - tensors.keys())), ("unknown", sorted(extra))):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise EncoderError(
                f"tensor {names[0]}{more} {'are' if more else 'is'} {problem}: config.json and weights must be of one "
                "model, as its publisher ships them"
            )
    for name, weight in weights.items():
        try:
            weight.assign(tensors[name]())
        except ValueError as error:
            raise EncoderError(f"tensor {name} {error}: take both from one model") from None


def _kernel(name: str, layer: keras.Layer, axes: tuple[int, ...]) -> dict[str, Weight]:
    kernel = {f"{name}.weight": Weight(layer.kernel, axes)}
    return kernel | {f"{name}.bias": Weight(layer.bias)} if layer.use_bias else kernel
