"""The shortcut audit: how well bonafide and spoof are told apart by what has nothing to do with the voice.

A logistic regression on duration, level, bandwidth and the silences at both ends, scored on speakers that it was not
fitted on. A corpus on which it does well can be solved without listening (Müller et al. 2021 found ASVspoof 2019 so).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import bootstrap, metrics
from pipeline.config import SAMPLE_RATE_HZ

FEATURES = ("duration_s", "level_dbfs", "roll_off_hz", "leading_silence_s", "trailing_silence_s")
FRAME_SAMPLES = 160
SILENCE_DB = 20.0
"""Frames this far under the loudest one count as silence; the level is that of the others."""
ROLL_OFF_SHARE = 0.99
FOLDS = 5


@dataclass(frozen=True)
class Finding:
    """Area under the ROC of the audit for one group of trials, with its 95 % interval over speakers."""

    name: str
    auc: float
    low: float
    high: float
    spoof_trials: int


def features(wave: np.ndarray) -> np.ndarray:
    """``FEATURES`` of a waveform ``[samples]``, float in −1…1 or int16; ``[5]`` float64."""
    scale = 32768.0 if wave.dtype == np.int16 else 1.0
    wave = wave.astype(np.float64) / scale
    frames = max(len(wave) // FRAME_SAMPLES, 1)
    power = np.mean(np.resize(wave, (frames, FRAME_SAMPLES)) ** 2, axis=1) + 1e-12
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SILENCE_DB / 10))
    spectrum = np.cumsum(np.abs(np.fft.rfft(wave)) ** 2)
    roll_off = np.searchsorted(spectrum, ROLL_OFF_SHARE * spectrum[-1]) / len(spectrum) * SAMPLE_RATE_HZ / 2
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    return np.array(
        [
            len(wave) / SAMPLE_RATE_HZ,
            10 * np.log10(power[loud].mean()),
            roll_off,
            loud[0] * frame_s,
            (frames - 1 - loud[-1]) * frame_s,
        ]
    )


def audit(
    table: np.ndarray,
    labels: np.ndarray,
    speakers: Sequence[str],
    attacks: Sequence[str],
    *,
    without: Sequence[str] = (),
    seed: int = 0,
) -> list[Finding]:
    """Findings over all trials and for each attack against all bonafide.

    Parameters
    ----------
    table : ``[trials, 5]``, the features of each trial.
    labels : true for bonafide, ``[trials]``.
    speakers, attacks : of each trial; speakers never cross from fitting to scoring.
    without : names of ``FEATURES`` left out.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    kept = [i for i, name in enumerate(FEATURES) if name not in without]
    labels, speakers, attacks = np.asarray(labels, bool), np.asarray(speakers), np.asarray(attacks)
    scores = np.zeros(len(labels))
    for fitted, held_out in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(table, labels, speakers):
        model = make_pipeline(
            StandardScaler(), PolynomialFeatures(2), LogisticRegression(class_weight="balanced", max_iter=1000)
        )
        model.fit(table[fitted][:, kept], labels[fitted])
        scores[held_out] = model.decision_function(table[held_out][:, kept])
    groups = {"all": np.full(len(labels), True)}
    groups |= {name: labels | (attacks == name) for name in sorted(set(attacks[~labels]))}
    return [_finding(name, scores[m], labels[m], speakers[m], seed) for name, m in groups.items()]


def _finding(name: str, scores: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> Finding:
    rng = np.random.default_rng(seed)
    unique, member = np.unique(speakers, return_inverse=True)
    values = []
    for _ in range(500):
        weights = np.bincount(rng.integers(len(unique), size=len(unique)), minlength=len(unique))[member]
        rows = np.repeat(np.arange(len(labels)), weights)
        if 0 < labels[rows].sum() < len(rows):
            values.append(metrics.auc(scores[rows], labels[rows]))
    low, high = np.quantile(values, bootstrap.INTERVAL)
    return Finding(name, metrics.auc(scores, labels), float(low), float(high), int((~labels).sum()))
