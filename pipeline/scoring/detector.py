"""The detector: the one path from audio to score, shared by evaluation, batch scoring, serving, streams and the page.

A recording is cut into windows, the LiteRT model gives each a logit, their mean is calibrated to a log-likelihood
ratio, and an operating point turns that into a label. No TensorFlow is imported here.
"""

import dataclasses
import math
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pipeline import audio
from pipeline.audio import speech, windows
from pipeline.common import parallel
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF
from pipeline.errors import AudioError, AudioFault
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.runtimes import LiteRt

Network = Callable[[np.ndarray], np.ndarray]
BATCH_WINDOWS = 16
"""Most windows per call of the model: memory stays bounded however long a recording is."""
NO_SPEECH = "no_speech"
ANY_LENGTH = "; `python -m pipeline.analyse` takes recordings of any length"
MIN_SPEECH_S = 0.3
"""Recordings and windows with less speech get the label ``no_speech`` instead of a guess; they keep their score."""


@dataclass(frozen=True)
class Row:
    """Result of one recording, or of one window of it.

    ``speech_s`` is the speech between ``start_s`` and ``end_s``; ``duration_s`` and ``latency_ms`` are those of the
    whole recording. ``score`` is a calibrated log-likelihood ratio, higher = bonafide; ``spoof_probability`` holds at
    the prior of the operating point. A recording that cannot be scored has an ``error`` and neither score nor label.
    ``note`` holds what is odd about a scored recording, see ``audio.Note``; normally empty.
    """

    source: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    speech_s: float | None = None
    score: float | None = None
    spoof_probability: float | None = None
    label: str = ""
    model_version: str = ""
    latency_ms: float | None = None
    error: str = ""
    note: str = ""


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
"""Columns of every table of rows."""


@dataclass(frozen=True)
class ScoredWindows:
    """Everything that the rows of a recording of ``samples`` samples are made from.

    ``logits`` ``[windows]`` belong to the windows that begin at the samples ``starts``; the recording's score is the
    mean of the first ``scored``. ``speech`` ``[chunks]`` are probabilities, see ``audio.speech``.
    """

    samples: int
    starts: Sequence[int]
    logits: np.ndarray
    scored: int
    speech: np.ndarray


class Detector:
    """Model folder loaded for scoring.

    Parameters
    ----------
    model : the model folder.
    threads : threads of the LiteRT interpreter; 0 takes all cores that this process may use.
    network : function from windows ``[windows, clip_samples]`` to logits ``[windows]`` that replaces the folder's
        LiteRT file.

    Threads cannot share an instance: make one per thread, or use a ``Pool``.
    """

    def __init__(self, model: ModelFolder, threads: int = 0, network: Network | None = None):
        self.model = model
        self._network = network or LiteRt(model.litert, threads or parallel.cores())

    def starts(self, wave: np.ndarray) -> list[int]:
        """First sample of each window by which the model scores a recording ``[samples]``."""
        return windows.starts(len(wave), self.model.clip_samples, self.model.config.window.windows)

    def every_start(self, wave: np.ndarray) -> list[int]:
        """First sample of each overlapping window of a recording ``[samples]``, also of those that do not count."""
        return windows.starts(len(wave), self.model.clip_samples)

    def cut(self, wave: np.ndarray, starts: Sequence[int]) -> np.ndarray:
        """The windows ``[windows, clip_samples]`` of a recording ``[samples]`` that begin at these samples."""
        return np.stack([windows.cut(wave, start, self.model.config.window) for start in starts])

    def window_logits(self, batch: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        parts = [batch[i : i + BATCH_WINDOWS] for i in range(0, len(batch), BATCH_WINDOWS)]
        return np.concatenate([self._network(part) for part in parts])

    def utterance_logit(self, wave: np.ndarray) -> float:
        """Mean logit over the windows of a recording ``[samples]`` float32 in −1…1."""
        return float(self._logits_at(wave, self.starts(wave)).mean())

    def utterance_logits(self, waves: Iterable[np.ndarray]) -> Iterator[float]:
        """Mean logit of each recording, in order; windows of several recordings share a call of the model."""
        pending: list[np.ndarray] = []
        sizes: list[int] = []
        for wave in waves:
            cut = self.cut(wave, self.starts(wave))
            pending.append(cut)
            sizes.append(len(cut))
            if sum(sizes) >= BATCH_WINDOWS:
                yield from self._means(pending, sizes)
                pending, sizes = [], []
        if sizes:
            yield from self._means(pending, sizes)

    def score_windows(self, wave: np.ndarray, *, also: Iterable[int] = ()) -> ScoredWindows:
        """Score the windows of a recording ``[samples]`` float32 in −1…1 at 16 kHz.

        ``also`` are first samples of further windows, which do not count for the recording's score.
        """
        scored = self.starts(wave)
        starts = scored + sorted(set(also) - set(scored))
        return ScoredWindows(len(wave), starts, self._logits_at(wave, starts), len(scored), speech.probabilities(wave))

    def row(self, source: str, recording: audio.Source, point: OperatingPoint | None = None) -> Row:
        """The row of one recording, see ``rows``."""
        return self.rows(source, recording, point)[0]

    def rows(
        self,
        source: str,
        recording: audio.Source,
        point: OperatingPoint | None = None,
        *,
        timeline: bool = False,
        limits: audio.Limits = audio.DEFAULT_LIMITS,
    ) -> list[Row]:
        """The row of one recording, or with ``timeline`` the rows of its windows.

        Parameters
        ----------
        source : name of the recording in its rows.
        recording : path, or bytes of a file. One that cannot be scored, for whatever reason, gives a single row with
            its error.
        point : operating point; by default the model's.
        limits : limits on the file, besides the model's own on duration and level.
        """
        started, point = time.perf_counter(), point or self.model.point()
        try:
            decoded = self.decode(recording, limits=limits)
            wave = decoded.wave
            scored = self.score_windows(wave, also=self.every_start(wave) if timeline else ())
        except Exception as error:  # no recording may end a job
            found, note = [self.error_row(source, AudioError.of(error))], ""
        else:
            note = decoded.note
            found = self.window_rows(source, scored, point) if timeline else [self.whole_row(source, scored, point)]
        latency_ms = 1000 * (time.perf_counter() - started)
        return [dataclasses.replace(row, latency_ms=latency_ms, note=note) for row in found]

    def decode(self, recording: audio.Source, *, limits: audio.Limits = audio.DEFAULT_LIMITS) -> audio.Decoded:
        """A recording decoded within the model's own limits and these; raises ``AudioError``."""
        return audio.read(recording, config=self.model.config.audio, limits=limits)

    def error_row(self, source: str, error: AudioError) -> Row:
        """The row of a recording that cannot be scored, without its latency."""
        remedy = ANY_LENGTH if error.kind is AudioFault.TOO_LONG else ""
        return Row(source, model_version=self.model.model_version, error=f"{error}{remedy}")

    def whole_row(self, source: str, scored: ScoredWindows, point: OperatingPoint) -> Row:
        """The row of a recording, without its latency."""
        logit = float(scored.logits[: scored.scored].mean())
        return self._row(source, scored, point, logit, 0, scored.samples)

    def window_rows(self, source: str, scored: ScoredWindows, point: OperatingPoint) -> list[Row]:
        """A row for each scored window, without its latency."""
        size = self.model.clip_samples
        return [
            self._row(source, scored, point, float(logit), start, min(start + size, scored.samples))
            for start, logit in sorted(zip(scored.starts, scored.logits, strict=True))
        ]

    def _row(
        self, source: str, scored: ScoredWindows, point: OperatingPoint, logit: float, start: int, end: int
    ) -> Row:
        score = float(self.model.calibration.apply(logit))
        speech_s = speech.seconds(scored.speech, start, end)
        label = BONAFIDE if score >= point.threshold else SPOOF
        return Row(
            source,
            start_s=start / SAMPLE_RATE_HZ,
            end_s=end / SAMPLE_RATE_HZ,
            duration_s=scored.samples / SAMPLE_RATE_HZ,
            speech_s=speech_s,
            score=score,
            spoof_probability=spoof_probability(score, point.prior_spoof),
            label=label if speech_s >= MIN_SPEECH_S else NO_SPEECH,
            model_version=self.model.model_version,
        )

    def _logits_at(self, wave: np.ndarray, starts: Sequence[int]) -> np.ndarray:
        parts = [starts[i : i + BATCH_WINDOWS] for i in range(0, len(starts), BATCH_WINDOWS)]
        return np.concatenate([self._network(self.cut(wave, part)) for part in parts])

    def _means(self, pending: list[np.ndarray], sizes: list[int]) -> Iterator[float]:
        logits = self.window_logits(np.concatenate(pending))
        for part in np.split(logits, np.cumsum(sizes)[:-1]):
            yield float(part.mean())


class Pool:
    """Detectors of one model for many threads: a thread borrows one, or waits for one.

    Parameters
    ----------
    size : number of detectors; 0 makes one for each core that this process may use. Each has one thread, which
        scores more recordings per second than one detector with many threads.
    """

    def __init__(self, model: ModelFolder, size: int = 0):
        self.model = model
        self.size = size or parallel.cores()
        self._free: queue.LifoQueue[Detector] = queue.LifoQueue()
        for _ in range(self.size):
            self._free.put(Detector(model, threads=1))

    @contextmanager
    def detector(self) -> Iterator[Detector]:
        """A detector for the duration of the block."""
        lent = self._free.get()
        try:
            yield lent
        finally:
            self._free.put(lent)


def spoof_probability(score: float, prior_spoof: float) -> float:
    """Probability of spoof by Bayes' rule, from a log-likelihood ratio and the prior of spoof."""
    log_odds = score + math.log((1 - prior_spoof) / prior_spoof)
    return 1 / (1 + math.exp(min(log_odds, 700.0)))
