"""Windows of a model, cut from a recording, and which of them count: one rule for training and all scoring.

Windows are cut from the part of the recording that speech spans, so silence before and behind changes nothing. Those
with too little speech do not count, so silence within has no vote.
"""

import math

import numpy as np

from pipeline.audio.speech import MIN_SPEECH_S, Speech
from pipeline.config import WindowConfig

HOPS = {"overlapping": 0.5, "spread": 0.75, "consecutive": 1.0}
"""Largest distance between the windows of a recording, in windows; docs/scale.md has what each mode costs."""


def counted(found: Speech, clip_samples: int, mode: str = "overlapping") -> list[int]:
    """First sample of each window that counts for the score of a recording.

    These hold at least ``MIN_SPEECH_S`` of speech; if none does, all windows count. ``mode`` as in ``starts``.
    """
    every = np.array(within(found, clip_samples, mode))
    enough = found.seconds(every, np.minimum(every + clip_samples, found.end)) >= MIN_SPEECH_S
    return (every[enough] if enough.any() else every).tolist()


def within(found: Speech, clip_samples: int, mode: str = "overlapping") -> list[int]:
    """First sample of each window of the part of a recording that speech spans; ``mode`` as in ``starts``."""
    return [found.start + start for start in starts(found.end - found.start, clip_samples, mode)]


def starts(samples: int, clip_samples: int, mode: str = "overlapping") -> list[int]:
    """First sample of each window of a recording.

    Parameters
    ----------
    samples : length of the recording, at least 1.
    clip_samples : length of a window.
    mode : ``overlapping``: a window every half window, the last one moved back to end with the recording.
        ``consecutive``: one every whole window, the last one moved back too. ``spread``: as few as lie at most
        three quarters of a window apart, all at the same distance. ``first``: only the beginning.
    """
    last = samples - clip_samples
    if mode == "first" or last <= 0:
        return [0]
    step = max(1, int(HOPS[mode] * clip_samples))
    if mode == "spread":
        return np.linspace(0, last, 1 + math.ceil(last / step)).round().astype(int).tolist()
    regular = list(range(0, last + 1, step))
    return regular if regular[-1] == last else [*regular, last]


def cut(wave: np.ndarray, start: int, config: WindowConfig) -> np.ndarray:
    """The window of a recording at ``start``, ``[clip_samples]``, in the recording's own type.

    Samples missing at the end are the recording repeated (``pad="repeat"``) or zeros (``"zero"``).
    """
    clip_samples = config.clip_samples
    window = wave[start : start + clip_samples]
    if len(window) == clip_samples:
        return window
    if config.pad == "repeat":
        return np.resize(wave[start:], clip_samples)
    return np.concatenate([window, np.zeros(clip_samples - len(window), wave.dtype)])
