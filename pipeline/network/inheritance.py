"""Weights of one model for another: matched layer by layer, so that training can start from a trained model.

Keras numbers unnamed layers anew in every process, so a layer is known by its name without that number and by its
place among the layers of that name.
"""

import re
from collections import Counter
from collections.abc import Iterator

import keras

from pipeline.errors import ConfigError
from pipeline.network.networks import HEAD


def inherit(model: keras.Model, parent: keras.Model) -> list[str]:
    """Give a model the weights of its parent; return the names of the layers of the head that keep their own.

    A head is taken over as far as its layers have the parent's shapes; behind the first that has another, nothing fits.
    Raises ``ConfigError`` for the first layer before the head that the parent lacks or has in another shape.
    """
    known, anew = dict(named_layers(parent)), []
    for name, layer in named_layers(model):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        found = [tuple(weight.shape) for weight in known[name].weights] if name in known else None
        if layer.name in HEAD and (anew or shapes != found):
            anew.append(layer.name)
        elif shapes != found:
            theirs = f"has the shapes {found}" if found else "does not exist"
            raise ConfigError(f"layer {name} with weights of shapes {shapes} {theirs} there")
        else:
            layer.set_weights(known[name].get_weights())
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # recompute the constants it derives from its weights
    return anew


def named_layers(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Layers that have weights, those of inner models too, each under a name that is the same in every process."""
    counts: Counter[str] = Counter()
    for layer in layers(model):
        if layer.weights:
            stem = re.sub(r"_\d+$", "", layer.name)
            yield f"{stem} {counts[stem] + 1}", layer
            counts[stem] += 1


def layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers of a model in order, those of inner models in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers(layer)
        else:
            yield layer
