"""Robustness of a model: its EER under noise, codecs, shortness, other levels, and silence around the speech.

Degradations are pure functions of a waveform and, for noise, of a random generator. Each trial draws from its own seed
and gets the same noise at every SNR, so the points of a curve differ in nothing else. Coded audio is decoded by
``audio.decode``, as any file is.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pipeline import audio, metrics
from pipeline.audio import codecs
from pipeline.audio.codecs import Codec
from pipeline.audio.mixing import mixed
from pipeline.common import parallel
from pipeline.common.progress import track
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ
from pipeline.metrics import MetricError, bootstrap
from pipeline.metrics.assessment import voices
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store

CLEAN = "clean"
SNR_DB = (30, 20, 10, 5)
NOISES = ("white noise", "pink noise", "babble")
CODECS = {
    # Without its bit reservoir every frame decodes by itself, so decoders have nothing to complain of at the start.
    "MP3 32 kbit/s": Codec("libmp3lame", "mp3", 32_000, options={"reservoir": "0"}),
    "Opus 16 kbit/s": Codec("libopus", "ogg", 16_000),
    "µ-law 8 kHz": Codec("pcm_mulaw", "wav", rate_hz=8000),
}
DURATIONS_S = (0.5, 1.0, 2.0, 4.0)
GAINS_DB = (-20, 20)
SILENCES_DB = {"zeros": -200.0, "−65 dB": -65.0}
"""Level in dB full scale of the noise behind a recording."""
SILENCE_S = 10.0
BABBLE_VOICES = 6
MOST_TRIALS = 2000
"""Trials of a larger subset that are degraded, drawn at random with the share of each class kept."""
COLUMNS = ("condition", "value", "eer", "eer_low", "eer_high", "trials")


@dataclass(frozen=True)
class Clip:
    """Trial to degrade: samples in −1…1, the seed of its noise, and clips of other speakers for babble."""

    wave: np.ndarray
    seed: tuple[int, ...]
    others: tuple[Callable[[], np.ndarray], ...]


Degradation = Callable[[Clip], np.ndarray]


def degradations() -> dict[tuple[str, str], Degradation]:
    """All degradations by condition and value, the clean recording first."""
    found: dict[tuple[str, str], Degradation] = {(CLEAN, ""): lambda clip: clip.wave}
    found |= {(noise, f"{snr} dB"): partial(_noisy, noise=noise, snr_db=snr) for noise in NOISES for snr in SNR_DB}
    found |= {("codec", name): partial(_coded, name=name) for name in CODECS}
    found |= {("duration", f"{s:g} s"): lambda clip, s=s: middle(clip.wave, s) for s in DURATIONS_S}
    found |= {("level", f"{db:+d} dB"): lambda clip, db=db: amplified(clip.wave, db) for db in GAINS_DB}
    found |= {("silence", name): partial(_silence_behind, level_db=db) for name, db in SILENCES_DB.items()}
    return found


def sweep(
    model: ModelFolder, store: Store, subset: str, *, seed: int = 0, most_trials: int = MOST_TRIALS
) -> pd.DataFrame:
    """EER with its 95 % interval over speakers for each degradation of a subset, ``COLUMNS``.

    Raises ``MetricError`` for a subset of one class.
    """
    rows = _rows(store, subset, seed, most_trials)
    trials = store.manifest.iloc[rows].reset_index(drop=True)
    labels = (trials["label"] == BONAFIDE).to_numpy()
    metrics.checked(np.zeros(len(labels)), labels)
    clips = _Clips(store, rows, seed)
    detector, everything, results = Detector(model), degradations(), []
    for (condition, value), degrade in everything.items():
        logits = detector.utterance_logits(_ahead(degrade, clips))
        what = f"{subset}, {condition} {value}".rstrip()
        scores = np.fromiter(track(logits, total=len(rows), what=what), np.float64, len(rows))
        try:
            low, high = bootstrap.eer_interval(scores, labels, voices(trials))
        except MetricError:
            low, high = np.nan, np.nan
        results.append((condition, value, metrics.eer(scores, labels), low, high, len(rows)))
    return pd.DataFrame(results, columns=list(COLUMNS))


def mlflow_metrics(table: pd.DataFrame, subset: str) -> dict[str, float]:
    """The EERs of a sweep by their MLflow names: ``eval/robustness/babble/10_dB/eer`` …"""
    found = {}
    for row in table.itertuples():
        parts = [
            part.replace("µ", "u").replace("−", "-").replace("/", "_per_")
            for part in (row.condition, row.value)
            if part
        ]
        stem = "/".join([subset, "robustness", *(part.replace(" ", "_").replace("+", "plus_") for part in parts)])
        values = {"eer": row.eer, "eer_low": row.eer_low, "eer_high": row.eer_high}
        found |= {f"{stem}/{name}": float(value) for name, value in values.items() if np.isfinite(value)}
    return found


def white(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of equal power in every Hz, ``[samples]``."""
    return rng.normal(size=samples)


def pink(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of equal power in every octave, ``[samples]``, without a mean."""
    from scipy import fft

    size = fft.next_fast_len(samples, real=True)
    spectrum = fft.rfft(rng.normal(size=size))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return fft.irfft(spectrum, size)[:samples]


def babble(samples: int, speech: Iterable[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Voices at equal power, each repeated to the length from a random place, ``[samples]``."""
    total = np.zeros(samples)
    for wave in speech:
        wave = wave.astype(np.float64)
        wave = np.roll(wave, -rng.integers(len(wave)))
        total += np.resize(wave, samples) / np.sqrt(np.mean(wave**2) + 1e-12)
    return total


def middle(wave: np.ndarray, duration_s: float) -> np.ndarray:
    """Middle of a recording; all of one that is not longer."""
    size = round(duration_s * SAMPLE_RATE_HZ)
    start = max(len(wave) - size, 0) // 2
    return wave[start : start + size]


def amplified(wave: np.ndarray, gain_db: float) -> np.ndarray:
    """A recording louder or softer, clipped at full scale and rounded to 16 bits."""
    return audio.on_grid(wave * 10 ** (gain_db / 20))


def _silence_behind(clip: Clip, *, level_db: float) -> np.ndarray:
    noise = white(round(SILENCE_S * SAMPLE_RATE_HZ), np.random.default_rng(clip.seed)) * 10 ** (level_db / 20)
    return np.concatenate([clip.wave, audio.on_grid(noise.astype(np.float32))])


def _noisy(clip: Clip, *, noise: str, snr_db: float) -> np.ndarray:
    rng, samples = np.random.default_rng([*clip.seed, NOISES.index(noise)]), len(clip.wave)
    if noise == "babble":
        drawn = rng.permutation(len(clip.others))[:BABBLE_VOICES]
        return mixed(clip.wave, babble(samples, (clip.others[i]() for i in drawn), rng), snr_db)
    return mixed(clip.wave, (white if noise == "white noise" else pink)(samples, rng), snr_db)


def _coded(clip: Clip, *, name: str) -> np.ndarray:
    return codecs.through(clip.wave, CODECS[name])


class _Clips:
    """Trials of a sweep, each read when it is needed."""

    def __init__(self, store: Store, rows: np.ndarray, seed: int):
        self.store, self.rows, self.seed = store, rows, seed
        table = store.manifest.iloc[rows]
        self.speakers = voices(table)
        real = (table["label"] == BONAFIDE).to_numpy()
        # Live voices in the background, as a room has them.
        self.background = np.flatnonzero(real) if len(set(self.speakers[real])) > 1 else np.arange(len(rows))

    def __iter__(self) -> Iterator[Clip]:
        for index, row in enumerate(self.rows):
            others = self.background[self.speakers[self.background] != self.speakers[index]]
            others = others if len(others) else np.setdiff1d(self.background, [index])
            yield Clip(self._wave(index), (self.seed, int(row)), tuple(partial(self._wave, i) for i in others))

    def _wave(self, index: int) -> np.ndarray:
        return self.store.waveform(self.rows[index])


def _rows(store: Store, subset: str, seed: int, most: int) -> np.ndarray:
    rows = store.subset(subset)
    if len(rows) <= most:
        return rows
    labels = store.manifest["label"].iloc[rows].to_numpy()
    rng, kept = np.random.default_rng(seed), []
    for label in np.unique(labels):
        own = rows[labels == label]
        kept.append(rng.permutation(own)[: max(1, round(most * len(own) / len(rows)))])
    return np.sort(np.concatenate(kept))


def _ahead(degrade: Degradation, clips: Iterable[Clip]) -> Iterator[np.ndarray]:
    """Degraded clips in order, made on all cores while earlier ones are scored."""
    cores = parallel.cores()
    with ThreadPoolExecutor(cores) as pool:
        yield from parallel.in_order(pool, degrade, clips, ahead=4 * cores)
