"""The shortcut audit: how well bonafide and spoof are told apart by what has nothing to do with the voice.

Logistic regressions on the silences (the speech removed), the duration, the level, the bandwidth and the format of the
files, each alone and all together, scored on speakers that they were not fitted on. A corpus on which one of them does
well can be solved without listening (Müller et al. 2021 found ASVspoof 2019 so). Preprocessing audits every Store and
leaves ``shortcuts.csv`` in it; every evaluation shows it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.common import parallel
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ
from pipeline.metrics import assessment, bootstrap
from pipeline.store.store import Store

FEATURES = ("duration_s", "level_dbfs", "roll_off_hz", "leading_silence_s", "trailing_silence_s")
BAND_EDGES_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)
BANDS = tuple(f"silence_{high}_hz_db" for high in BAND_EDGES_HZ[1:])
"""Level of the silences in each band, relative to that of all bands."""
SILENCES = ("leading_silence_s", "trailing_silence_s", "silence_share", "silence_dbfs", *BANDS)
FILE = ("file_rate_hz", "file_channels", "file_kbit_s")
FILE_FORMAT = "file_format"
KINDS: dict[str, tuple[str, ...]] = {
    "silences": SILENCES,
    "duration": ("duration_s",),
    "level": ("level_dbfs",),
    "bandwidth": ("roll_off_hz",),
    "file format": (FILE_FORMAT, *FILE),
    "all together": (*FEATURES[:3], *SILENCES, FILE_FORMAT, *FILE),
}
"""What each audit hears."""
ALL = "all"
"""Name of the finding over all attacks."""
LIMIT = 0.65
"""Area under the ROC from which, at the lower end of the interval, a shortcut is worth a warning."""
MOST_CLIPS = 4000
"""Clips of a larger Store that are audited, drawn at random."""
FILENAME = "shortcuts.csv"
FRAME_SAMPLES = 160
SILENCE_DB = 20.0
"""Frames this far under the loudest one count as silence at the ends; the level is that of the others."""
DEEP_SILENCE_DB = 30.0
"""Frames this far under the loudest one hold no speech: all that is left when the speech is removed."""
ROLL_OFF_SHARE = 0.99
FOLDS = 5
RESAMPLES = 500
MOST_INTERACTIONS = 6
"""Columns up to which a regression also sees their products, and not their squares alone."""


@dataclass(frozen=True)
class Finding:
    """Area under the ROC of the audit for one group of trials, with its 95 % interval over speakers."""

    name: str
    auc: float
    low: float
    high: float
    spoof_trials: int


COLUMNS = ("kind", *(field.name for field in fields(Finding)))


def features(wave: np.ndarray) -> np.ndarray:
    """``FEATURES`` of a waveform ``[samples]``, float in −1…1; ``[5]`` float64."""
    values = measure(wave)
    return np.array([values[name] for name in FEATURES])


def measure(wave: np.ndarray) -> dict[str, float]:
    """``FEATURES`` and ``SILENCES`` by name of a waveform ``[samples]``, float in −1…1.

    A recording without silence has 0 for what describes it.
    """
    from scipy import fft

    wave = wave.astype(np.float32, copy=False)
    count = max(len(wave) // FRAME_SAMPLES, 1)
    frames = np.resize(wave, (count, FRAME_SAMPLES))
    power = np.mean(frames**2, axis=1) + 1e-12
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SILENCE_DB / 10))
    spectrum = fft.rfft(wave, fft.next_fast_len(len(wave), real=True))
    energy = np.cumsum(spectrum.real**2 + spectrum.imag**2, dtype=np.float64)
    roll_off = np.searchsorted(energy, ROLL_OFF_SHARE * energy[-1]) / len(energy) * SAMPLE_RATE_HZ / 2
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    values = {
        "duration_s": len(wave) / SAMPLE_RATE_HZ,
        "level_dbfs": 10 * np.log10(power[loud].mean()),
        "roll_off_hz": roll_off,
        "leading_silence_s": loud[0] * frame_s,
        "trailing_silence_s": (count - 1 - loud[-1]) * frame_s,
    }
    deep = power < power.max() * 10 ** (-DEEP_SILENCE_DB / 10)
    values |= dict.fromkeys(SILENCES[2:], 0.0) | {"silence_share": deep.mean()}
    if deep.any():
        bins = np.mean(np.abs(np.fft.rfft(frames[deep] * np.hanning(FRAME_SAMPLES))) ** 2, axis=0) + 1e-12
        band = np.searchsorted(BAND_EDGES_HZ[1:-1], np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE_HZ), side="right")
        levels = 10 * np.log10(np.bincount(band, bins) / np.bincount(band))
        values |= {"silence_dbfs": 10 * np.log10(power[deep].mean())}
        values |= dict(zip(BANDS, levels - levels.mean(), strict=True))
    return {name: float(value) for name, value in values.items()}


def measure_file(path: str | Path) -> dict[str, object]:
    """Container and codec, rate, channels and, of lossy codecs, bit rate of a file; empty where it cannot be read."""
    import av
    import soundfile

    path = Path(path)
    unknown = {FILE_FORMAT: "", **dict.fromkeys(FILE, 0.0)}
    if not path.is_file():
        return unknown
    try:
        found = soundfile.info(str(path))
        codec, rate_hz, channels, seconds = found.subtype, found.samplerate, found.channels, found.duration
        lossless = codec.startswith("PCM") or codec in ("FLOAT", "DOUBLE")
    except soundfile.LibsndfileError:
        try:
            with av.open(str(path)) as container:
                stream = container.streams.audio[0]
                codec, rate_hz, channels = stream.codec_context.name, stream.rate, stream.channels
                seconds, lossless = (container.duration or 0) / av.time_base, False
        except (av.FFmpegError, IndexError):
            return unknown
    # The size of a losslessly packed file tells what was recorded, not how it was stored.
    kbit_s = 0.0 if lossless or not seconds else 8 * path.stat().st_size / 1000 / seconds
    return {
        FILE_FORMAT: f"{path.suffix.lower()} {codec}",
        "file_rate_hz": float(rate_hz),
        "file_channels": float(channels),
        "file_kbit_s": kbit_s,
    }


def audit(
    table: np.ndarray,
    labels: np.ndarray,
    speakers: Sequence[str],
    attacks: Sequence[str],
    *,
    without: Sequence[str] = (),
    seed: int = 0,
) -> list[Finding]:
    """Findings of ``FEATURES`` together, over all trials and for each attack against all bonafide.

    Parameters
    ----------
    table : ``[trials, 5]``, the features of each trial.
    labels : true for bonafide, ``[trials]``.
    speakers, attacks : of each trial; speakers never cross from fitting to scoring.
    without : names of ``FEATURES`` left out.
    """
    kept = [i for i, name in enumerate(FEATURES) if name not in without]
    labels, speakers, attacks = np.asarray(labels, bool), np.asarray(speakers), np.asarray(attacks)
    return _findings(_scores(np.asarray(table)[:, kept], labels, speakers, seed), labels, speakers, attacks, seed)


def examine(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Findings of every kind of shortcut, ``COLUMNS``.

    Parameters
    ----------
    table : columns utterance_id, label, speaker, attack, and those of ``measure`` and ``measure_file``.

    Empty where the trials are of one class or of one speaker, so that nothing can be fitted and tested.
    """
    labels = (table["label"] == BONAFIDE).to_numpy()
    speakers, attacks = assessment.voices(table), table["attack"].replace("", assessment.UNKNOWN).to_numpy(str)
    formats = pd.get_dummies(table[FILE_FORMAT], dtype=float)
    numbers = table.drop(columns=FILE_FORMAT).assign(**{f"is {name}": formats[name] for name in formats})
    rows = []
    if 0 < labels.sum() < len(labels) and len(set(speakers)) > 1:
        for kind, names in KINDS.items():
            columns = [c for n in names for c in ([f"is {f}" for f in formats] if n == FILE_FORMAT else [n])]
            scores = _scores(numbers[columns].to_numpy(np.float64), labels, speakers, seed)
            rows += [{"kind": kind, **asdict(f)} for f in _findings(scores, labels, speakers, attacks, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of(store: Store) -> pd.DataFrame:
    """The findings of a Store: read from its folder, or else made, and kept there where it can be written to."""
    path = store.folder / FILENAME
    if path.is_file():
        found = pd.read_csv(path, keep_default_na=False)
        if list(found) == list(COLUMNS):
            return found
    rows = np.arange(len(store))
    if len(rows) > MOST_CLIPS:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_CLIPS])
    changes = np.flatnonzero(np.diff(store.manifest["shard"].to_numpy()[rows])) + 1
    with ThreadPoolExecutor(parallel.cores()) as threads:  # most of the work is done outside Python's lock
        measured = [one for own in threads.map(partial(_measured, store), np.split(rows, changes)) for one in own]
    known = store.manifest.iloc[rows][["utterance_id", "label", "speaker", "attack"]].reset_index(drop=True)
    found = examine(pd.concat([known, pd.DataFrame(measured)], axis=1))
    try:
        unfinished = path.with_name(f"{FILENAME}.part")
        found.to_csv(unfinished, index=False)
        unfinished.replace(path)
    except OSError:
        pass  # a Store that cannot be written to is audited again by whoever asks
    return found


def _measured(store: Store, rows: np.ndarray) -> list[dict[str, object]]:
    """What is measured of rows of one shard: two threads at one shard would both have it checked."""
    paths = store.manifest["path"].iloc[rows]
    return [measure(store.waveform(row)) | measure_file(path) for row, path in zip(rows, paths, strict=True)]


def text(found: pd.DataFrame) -> str:
    """The findings over all attacks and the warnings, for the terminal."""
    if found.empty:
        return "shortcut audit: not possible with one class or one speaker"
    lines = ["shortcut audit, AUC without the voice (95 %; 0.5 is chance):"]
    lines += [
        f"  {row.kind:<13}{row.auc:.2f} ({row.low:.2f}–{row.high:.2f})"
        for row in found[found["name"] == ALL].itertuples()
    ]
    return "\n".join(lines + warnings(found))


def warnings(found: pd.DataFrame) -> list[str]:
    """What the findings warn of, in words, a sentence each kind."""
    said = []
    for kind, own in found[found["low"] > LIMIT].groupby("kind", sort=False):
        worst = own.loc[own["low"].idxmax()]
        names = ", ".join("all attacks together" if name == ALL else name for name in own["name"])
        verb = "tell" if kind == "silences" else "tells"
        said.append(
            f"Shortcut: {kind} {verb} the classes apart without the voice for {names} (at worst AUC "
            f"{worst['auc']:.2f}, 95 % {worst['low']:.2f}–{worst['high']:.2f}, {worst['spoof_trials']:,} spoof clips)."
        )
    return said


def mlflow_metrics(found: pd.DataFrame) -> dict[str, float]:
    """The findings over all attacks by their MLflow names: ``shortcuts/duration/auc``, ``auc_low``, ``auc_high``."""
    return {
        f"shortcuts/{row.kind.replace(' ', '_')}/{name}": value
        for row in found[found["name"] == ALL].itertuples()
        for name, value in (("auc", row.auc), ("auc_low", row.low), ("auc_high", row.high))
    }


def _scores(table: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> np.ndarray:
    """Log-odds of bonafide ``[trials]``, of each speaker by a regression that was fitted without him."""
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


def _findings(
    scores: np.ndarray, labels: np.ndarray, speakers: np.ndarray, attacks: np.ndarray, seed: int
) -> list[Finding]:
    groups = {ALL: np.full(len(labels), True)}
    groups |= {name: labels | (attacks == name) for name in sorted(set(attacks[~labels]))}
    return [_finding(name, scores[m], labels[m], speakers[m], seed) for name, m in groups.items()]


def _finding(name: str, scores: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> Finding:
    low, high = bootstrap.intervals(scores, labels, speakers, names=("auc",), resamples=RESAMPLES, seed=seed)["auc"]
    return Finding(name, metrics.auc(scores, labels), low, high, int((~labels).sum()))
