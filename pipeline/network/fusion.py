"""Networks of several trained models: a weighted sum of their calibrated scores, or the mean of their weights.

Both take windows ``[batch, samples]`` and return a logit ``[batch, 1]``, so exports and all scoring treat them as any
other network. Each member of a sum is a nested model, whose layers may share their names with those of the others.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from pipeline.audio import windows
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import KNEE, Calibration
from pipeline.network.fixed_layer import FixedLayer


@keras.saving.register_keras_serializable(package="spoof")
class ShorterWindows(FixedLayer):
    """Cut windows into shorter ones. ``[batch, longer]`` to ``[batch · windows, samples]``.

    Parameters
    ----------
    samples : length of a shorter window.
    starts : first sample of each.
    """

    samples: int
    starts: list[int]

    def call(self, waveform):
        cut = ops.stack([waveform[:, start : start + self.samples] for start in self.starts], axis=1)
        return ops.reshape(cut, (-1, self.samples))  # (batch · windows, samples)

    def compute_output_shape(self, input_shape):
        return (None, self.samples)


@keras.saving.register_keras_serializable(package="spoof")
class MeanOfWindows(FixedLayer):
    """Mean over the windows that ``ShorterWindows`` cut. ``[batch · windows, 1]`` to ``[batch, 1]``.

    Parameters
    ----------
    windows : shorter windows per window.
    """

    windows: int

    def call(self, logit):
        return ops.mean(ops.reshape(logit, (-1, self.windows)), axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="spoof")
class CalibratedScore(FixedLayer):
    """Calibration of a logit, same shape; see ``metrics.calibration.Calibration``, of which these are the fields.

    Parameters
    ----------
    slope, intercept : of the affine map.
    bounds : lower and upper bound of a score; empty for an unbounded one.
    """

    slope: float
    intercept: float
    bounds: list[float]

    @classmethod
    def of(cls, calibration: Calibration) -> "CalibratedScore":
        """The layer of a calibration."""
        bounds = [bound for bound in (calibration.lower, calibration.upper) if np.isfinite(bound)]
        return cls(slope=calibration.slope, intercept=calibration.intercept, bounds=bounds, name="calibrated")

    def call(self, logit):
        score = self.slope * logit + self.intercept
        if not self.bounds:
            return score
        low, high = self.bounds[0] + KNEE, self.bounds[1] - KNEE
        over, under = ops.relu(score - high), ops.relu(low - score)
        return ops.clip(score, low, high) + over / (1 + over) - under / (1 + under)


def member(network: keras.Model, calibration: Calibration, clip_samples: int, name: str) -> keras.Model:
    """Calibrated score ``[batch, 1]`` of a trained network on windows of ``clip_samples``, at least as long as its own.

    It scores the consecutive windows of its own length inside, the last moved back to the end, and averages the logits.
    """
    waveform = keras.Input((clip_samples,), dtype="float32", name="waveform")
    samples = network.input_shape[1]
    starts = windows.starts(clip_samples, samples, "consecutive")
    if len(starts) == 1:
        logit = network(waveform)
    else:
        cut = ShorterWindows(samples=samples, starts=starts, name="shorter_windows")(waveform)
        logit = MeanOfWindows(windows=len(starts), name="mean_of_windows")(network(cut))
    return keras.Model(waveform, CalibratedScore.of(calibration)(logit), name=name)


def weighted_sum(members: Sequence[keras.Model], weights: np.ndarray, bias: float) -> keras.Model:
    """Network whose logit is ``members · weights + bias``; ``weights`` ``[members]``."""
    waveform = keras.Input(members[0].input_shape[1:], dtype="float32", name="waveform")
    scores = [own(waveform) for own in members]
    together = keras.layers.Concatenate(name="scores", dtype="float32")(scores)  # (batch, members)
    output = keras.layers.Dense(1, name="logit", dtype="float32")
    model = keras.Model(waveform, output(together), name="fusion")
    output.set_weights([np.asarray(weights, np.float32)[:, None], np.array([bias], np.float32)])
    return model


def mean_of_weights(networks: Sequence[keras.Model], names: Sequence[str]) -> keras.Model:
    """The first network with the mean of the weights of all; raises ``ConfigError`` naming the first difference."""
    first = networks[0]
    for network, name in zip(networks[1:], names[1:], strict=True):
        for own, other in zip(first.weights, network.weights, strict=False):
            if own.shape != other.shape:
                raise ConfigError(
                    f"--by weights: {own.path} is {tuple(own.shape)} in {names[0]} and {tuple(other.shape)} in {name}; "
                    "only models of one architecture have a mean"
                )
        if len(first.weights) != len(network.weights):
            raise ConfigError(
                f"--by weights: {names[0]} has {len(first.weights)} tensors of weights and {name} "
                f"{len(network.weights)}; only models of one architecture have a mean"
            )
    means = [np.mean(each, axis=0) for each in zip(*(network.get_weights() for network in networks), strict=True)]
    first.set_weights(means)
    return first
