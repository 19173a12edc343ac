"""What a model looks at: which parts of a spectrogram speak for bonafide and which for spoof.

Integrated gradients (Sundararajan et al. 2017) through the Keras model, from its front end's output to its logit: what
each time and frequency adds to the logit, on the way from a spectrogram that says nothing. Imports TensorFlow, so only
what draws it imports this module.
"""

from pathlib import Path

import keras
import numpy as np

from pipeline.config import Config
from pipeline.network import front_end, networks

STEPS = 32
"""Points of the way that the gradients are averaged over."""
BATCH = 16


class Looker:
    """A Keras model cut behind its front end.

    Parameters
    ----------
    path : the Keras file.
    config : the model's configuration.
    """

    def __init__(self, path: Path, config: Config):
        model = networks.load(path)
        self._start = config.front_end.normalisation
        fronts = [layer for layer in model.layers if isinstance(layer, front_end.LAYERS)]
        self.sees_spectrogram = bool(fronts)
        """Whether there is a spectrogram to look at; a model of the raw waveform has none."""
        if fronts:
            spectrogram = fronts[-1].output
            self._front = keras.Model(model.inputs[0], spectrogram)
            self._behind = keras.Model(spectrogram, model.outputs[0])

    def spectrogram(self, window: np.ndarray) -> np.ndarray:
        """What the network sees of a window ``[clip_samples]`` float32: ``[frames, bands]``."""
        return self._front(window[None], training=False).numpy()[0]

    def logit(self, spectrogram: np.ndarray) -> float:
        """The model's logit of a spectrogram ``[frames, bands]``."""
        return float(self._behind(spectrogram[None], training=False)[0, 0])

    def nothing(self, spectrogram: np.ndarray) -> np.ndarray:
        """The spectrogram that says nothing, same shape: each band at its mean (``cmvn``), or silence."""
        silent = 0.0 if self._start == "cmvn" else spectrogram.min()
        return np.full_like(spectrogram, silent)

    def saliency(self, spectrogram: np.ndarray, steps: int = STEPS) -> np.ndarray:
        """What each place of a spectrogram adds to the logit, ``[frames, bands]``; the sum is what all of it adds."""
        import tensorflow as tf

        start = self.nothing(spectrogram)
        shares = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
        total = np.zeros(spectrogram.shape)
        for part in np.split(shares, range(BATCH, steps, BATCH)):
            points = tf.constant(start + part[:, None, None] * (spectrogram - start))  # (points, frames, bands)
            with tf.GradientTape() as tape:
                tape.watch(points)
                logits = self._behind(points, training=False)
            total += tape.gradient(logits, points).numpy().sum(axis=0)
        return (spectrogram - start) * total / steps
