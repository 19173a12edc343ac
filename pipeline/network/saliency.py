"""Saliency: contribution of each part of a spectrogram to the logit, positive for bonafide, negative for spoof.

Integrated gradients (Sundararajan et al. 2017) through the Keras model, from the output of its front end to its logit,
on the straight way from a neutral spectrogram. Imports TensorFlow, so only the code that draws saliency imports it.
"""

from pathlib import Path

import keras
import numpy as np

from pipeline.config import Config
from pipeline.network import front_end, networks

STEPS = 32
"""Points on the way over which the gradients are averaged."""
BATCH = 16


class Explainer:
    """Keras model cut behind its front end.

    Parameters
    ----------
    path : the Keras file.
    config : the model's configuration.
    """

    def __init__(self, path: Path, config: Config):
        model = networks.load(path)
        self._start = config.front_end.normalisation
        fronts = [layer for layer in model.layers if isinstance(layer, front_end.LAYERS)]
        self.has_spectrogram = bool(fronts)
        """Whether the model computes a spectrogram; one on the raw waveform does not."""
        if fronts:
            spectrogram = fronts[-1].output
            self._front = keras.Model(model.inputs[0], spectrogram)
            self._behind = keras.Model(spectrogram, model.outputs[0])

    def spectrogram(self, window: np.ndarray) -> np.ndarray:
        """Output of the front end for a window ``[clip_samples]`` float32: ``[frames, bands]``."""
        return self._front(window[None], training=False).numpy()[0]

    def logit(self, spectrogram: np.ndarray) -> float:
        """Logit of a spectrogram ``[frames, bands]``."""
        return float(self._behind(spectrogram[None], training=False)[0, 0])

    def neutral(self, spectrogram: np.ndarray) -> np.ndarray:
        """Neutral spectrogram of the same shape: each band at its mean (``cmvn``), or silence."""
        silent = 0.0 if self._start == "cmvn" else spectrogram.min()
        return np.full_like(spectrogram, silent)

    def saliency(self, spectrogram: np.ndarray, steps: int = STEPS) -> np.ndarray:
        """Contribution of each place to the logit, ``[frames, bands]``; the sum is that of the whole spectrogram."""
        import tensorflow as tf

        start = self.neutral(spectrogram)
        shares = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
        total = np.zeros(spectrogram.shape)
        for part in np.split(shares, range(BATCH, steps, BATCH)):
            points = tf.constant(start + part[:, None, None] * (spectrogram - start))  # (points, frames, bands)
            with tf.GradientTape() as tape:
                tape.watch(points)
                logits = self._behind(points, training=False)
            total += tape.gradient(logits, points).numpy().sum(axis=0)
        return (spectrogram - start) * total / steps
