"""Shortcut audit: how well bonafide and spoof are told apart without the voice.

Logistic regressions on silences (the recording with its speech removed), duration, level, bandwidth and file format,
each by itself and all together, are scored on speakers that they were not fitted on. A corpus on which one of them does
well can be solved without listening (Müller et al. 2021 found this of ASVspoof 2019). Preprocessing audits every Store
and leaves ``shortcuts.csv`` in it; every evaluation shows it.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.common import files, parallel
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ
from pipeline.metrics import assessment, bootstrap
from pipeline.store.manifest import FILE_COLUMNS
from pipeline.store.store import Store

BAND_EDGES_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)
BANDS = tuple(f"silence_{high}_hz_db" for high in BAND_EDGES_HZ[1:])
"""Level of the silences in each band, relative to the mean over all bands."""
SILENCES = ("leading_silence_s", "trailing_silence_s", "silence_share", "silence_dbfs", *BANDS)
FILE_FORMAT = "file format"
KINDS: dict[str, tuple[str, ...]] = {
    "silences": SILENCES,
    "duration": ("duration_s",),
    "level": ("level_dbfs",),
    "bandwidth": ("roll_off_hz",),
    FILE_FORMAT: FILE_COLUMNS,
}
"""Columns that each kind of audit sees."""
TOGETHER = "all together"
"""Kind that sees the columns of all others."""
COLUMNS = ("kind", "name", "auc", "low", "high", "spoof_trials")
"""Columns of the findings: area under the ROC of a kind for a group of trials, with its 95 % interval over speakers."""
ALL = "all"
"""Name of the finding over all attacks."""
LIMIT = 0.65
"""Lower end of the interval above which a shortcut deserves a warning."""
NO_FORMAT = "File format is not audited: preprocessing did not record it for this Store; run preprocess again."
MOST_CLIPS = 4000
"""Clips audited of a larger Store, drawn at random."""
FILENAME = "shortcuts.csv"
FRAME_SAMPLES = 160
SILENCE_DB = 20.0
"""Frames this far below the loudest one count as silence at the ends; the level is that of the others."""
DEEP_SILENCE_DB = 30.0
"""Frames this far below the loudest one hold no speech; they are the silences."""
ROLL_OFF_SHARE = 0.99
FOLDS = 5
RESAMPLES = 500
MOST_INTERACTIONS = 6
"""Columns up to which a regression also sees their products; above, only their squares."""


def measure(wave: np.ndarray) -> dict[str, float]:
    """Level, bandwidth and ``SILENCES`` by name of a waveform ``[samples]``, float in −1…1.

    A recording without silence has 0 in every column of ``SILENCES``.
    """
    from scipy import fft

    wave = wave.astype(np.float32, copy=False)
    count = max(len(wave) // FRAME_SAMPLES, 1)
    frames = np.resize(wave, (count, FRAME_SAMPLES))
    power = np.mean(frames**2, axis=1) + 1e-12
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SILENCE_DB / 10))
    spectrum = fft.rfft(wave, fft.next_fast_len(len(wave), real=True))
    energy = np.cumsum(spectrum.real**2 + spectrum.imag**2, dtype=np.float64)
    deep = power < power.max() * 10 ** (-DEEP_SILENCE_DB / 10)
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    values = dict.fromkeys(SILENCES, 0.0) | {
        "level_dbfs": 10 * np.log10(power[loud].mean()),
        "roll_off_hz": np.searchsorted(energy, ROLL_OFF_SHARE * energy[-1]) / len(energy) * SAMPLE_RATE_HZ / 2,
        "leading_silence_s": loud[0] * frame_s,
        "trailing_silence_s": (count - 1 - loud[-1]) * frame_s,
        "silence_share": deep.mean(),
    }
    if deep.any():
        bins = np.mean(np.abs(np.fft.rfft(frames[deep] * np.hanning(FRAME_SAMPLES))) ** 2, axis=0) + 1e-12
        band = np.searchsorted(BAND_EDGES_HZ[1:-1], np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE_HZ), side="right")
        levels = 10 * np.log10(np.bincount(band, bins) / np.bincount(band))
        values |= {"silence_dbfs": 10 * np.log10(power[deep].mean())}
        values |= dict(zip(BANDS, levels - levels.mean(), strict=True))
    return {name: float(value) for name, value in values.items()}


def examine(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Findings ``COLUMNS`` of each kind of shortcut, over all trials and for each attack against all bonafide.

    Parameters
    ----------
    table : Manifest with the columns of ``measure``. Kinds whose columns are missing are left out.

    Empty if all trials are of one class or one speaker, so that nothing can be fitted and tested. An attack by the only
    bonafide speaker is left out, as it has no interval.
    """
    labels = (table["label"] == BONAFIDE).to_numpy()
    speakers, attacks = assessment.voices(table), table["attack"].replace("", assessment.UNKNOWN).to_numpy(str)
    groups = {ALL: np.full(len(labels), True)}
    against = {name: labels | (attacks == name) for name in sorted(set(attacks[~labels]))}
    groups |= {name: own for name, own in against.items() if len(set(speakers[own])) > 1}
    known = [name for names in KINDS.values() for name in names if name in table]
    kinds = {kind: list(names) for kind, names in KINDS.items() if set(names) <= set(known)} | {TOGETHER: known}
    rows = []
    if 0 < labels.sum() < len(labels) and len(set(speakers)) > 1:
        for kind, names in kinds.items():
            # Formats, the only column of text, become one column each.
            numbers = pd.get_dummies(table[names], dtype=float).to_numpy(np.float64)
            scores = _scores(numbers, labels, speakers, seed)
            for name, own in groups.items():
                trials = scores[own], labels[own]
                interval = bootstrap.intervals(*trials, speakers[own], names=("auc",), resamples=RESAMPLES, seed=seed)[
                    "auc"
                ]
                rows.append((kind, name, metrics.auc(*trials), *interval, int((~labels[own]).sum())))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of(store: Store) -> pd.DataFrame:
    """Findings of a Store: read from its folder, or made and, if the folder can be written to, kept there."""
    path = store.folder / FILENAME
    if path.is_file():
        return pd.read_csv(path, keep_default_na=False)
    rows = np.arange(len(store))
    if len(rows) > MOST_CLIPS:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_CLIPS])
    # One thread per shard: two threads at one shard would both check it.
    by_shard = np.split(rows, np.flatnonzero(np.diff(store.manifest["shard"].to_numpy()[rows])) + 1)
    with ThreadPoolExecutor(parallel.cores()) as threads:  # most of the work is done outside Python's lock
        measured = threads.map(lambda own: [measure(store.waveform(row)) for row in own], by_shard)
        values = pd.DataFrame([clip for own in measured for clip in own])
    found = examine(pd.concat([store.manifest.iloc[rows].reset_index(drop=True), values], axis=1))
    try:
        with files.whole_file(path) as unfinished:
            found.to_csv(unfinished, index=False)
    except OSError:
        pass  # a Store that cannot be written to is audited again each time
    return found


def text(found: pd.DataFrame) -> str:
    """Findings over all attacks and the warnings, for the terminal."""
    if found.empty:
        return "shortcut audit: not possible with one class or one speaker"
    lines = ["shortcut audit, AUC without the voice (95 %; 0.5 is chance):"]
    lines += [
        f"  {row.kind:<13}{row.auc:.2f} ({row.low:.2f}–{row.high:.2f})"
        for row in found[found["name"] == ALL].itertuples()
    ]
    lines += [] if FILE_FORMAT in set(found["kind"]) else [NO_FORMAT]
    return "\n".join(lines + warnings(found))


def warnings(found: pd.DataFrame) -> list[str]:
    """One sentence per kind of shortcut that deserves a warning."""
    sentences = []
    for kind, own in found[found["low"] > LIMIT].groupby("kind", sort=False):
        worst = own.loc[own["low"].idxmax()]
        names = ", ".join("all attacks together" if name == ALL else name for name in own["name"])
        sentences.append(
            f"Shortcut: without the voice, the classes differ in {kind} for {names} (at worst AUC {worst['auc']:.2f}, "
            f"95 % {worst['low']:.2f}–{worst['high']:.2f}, {worst['spoof_trials']:,} spoof clips)."
        )
    return sentences


def mlflow_metrics(found: pd.DataFrame) -> dict[str, float]:
    """Findings over all attacks by their MLflow names: ``shortcuts/duration/auc``, ``auc_low``, ``auc_high``."""
    return {
        f"shortcuts/{row.kind.replace(' ', '_')}/{name}": value
        for row in found[found["name"] == ALL].itertuples()
        for name, value in (("auc", row.auc), ("auc_low", row.low), ("auc_high", row.high))
    }


def _scores(table: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> np.ndarray:
    """Log-odds of bonafide ``[trials]``; each speaker is scored by a regression fitted on other speakers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

    table = table[:, np.ptp(table, axis=0) > 0]
    scores = np.zeros(len(labels))
    if table.shape[1] == 0:
        return scores  # nothing differs, so nothing is told apart
    squares = FunctionTransformer(lambda x: np.hstack([x, x**2]))
    curved = PolynomialFeatures(2) if table.shape[1] <= MOST_INTERACTIONS else squares
    folds = GroupKFold(min(FOLDS, len(set(speakers))), shuffle=True, random_state=seed)
    for fitted, held_out in folds.split(table, labels, speakers):
        if 0 < labels[fitted].sum() < len(fitted):
            model = make_pipeline(
                StandardScaler(), curved, LogisticRegression(class_weight="balanced", solver="newton-cholesky")
            ).fit(table[fitted], labels[fitted])
            scores[held_out] = model.decision_function(table[held_out])
    return scores
