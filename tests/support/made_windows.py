"""Scored windows made by hand from their logits."""

from collections.abc import Sequence

import numpy as np

from pipeline.audio.speech import CHUNK_SAMPLES, Speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.metrics.calibration import Calibration
from pipeline.scoring.scored_windows import ScoredWindows

IDENTITY = Calibration(1.0, 0.0)


def scored_windows(
    logits: Sequence[float],
    *,
    window_s: float,
    hop_s: float,
    duration_s: float | None = None,
    speech: Sequence[float] | None = None,
    calibration: Calibration = IDENTITY,
    embeddings: np.ndarray | None = None,
) -> ScoredWindows:
    """Windows that all count, ``hop_s`` apart; ``speech`` are the probabilities of the chunks, by default 1."""
    logits = np.array(logits, float)
    size, hop = round(window_s * SAMPLE_RATE_HZ), round(hop_s * SAMPLE_RATE_HZ)
    starts = np.arange(len(logits)) * hop
    samples = round(duration_s * SAMPLE_RATE_HZ) if duration_s else int(starts[-1]) + size
    chunks = np.ones(-(-samples // CHUNK_SAMPLES)) if speech is None else np.array(speech)
    every = np.ones(len(logits), bool)
    return ScoredWindows(
        samples,
        size,
        starts,
        logits,
        calibration.apply(logits),
        every,
        every,
        Speech(chunks, 0, 0, samples),
        embeddings,
    )
