"""Windows of a model, cut from a recording: one rule for training, evaluation and scoring."""

import numpy as np

from pipeline.config import WindowConfig


def starts(samples: int, clip_samples: int, mode: str = "overlapping") -> list[int]:
    """First sample of each window of a recording.

    Parameters
    ----------
    samples : length of the recording, at least 1.
    clip_samples : length of a window.
    mode : ``overlapping``: a window every half window, the last one moved back to end with the recording.
        ``consecutive``: one every whole window, the last one moved back too. ``first``: only the beginning.
    """
    last = samples - clip_samples
    if mode == "first" or last <= 0:
        return [0]
    step = clip_samples if mode == "consecutive" else max(1, clip_samples // 2)
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
