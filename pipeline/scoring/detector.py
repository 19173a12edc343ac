"""The detector: the one path from audio to score, shared by evaluation, batch scoring, serving, streams and the page.

A recording is cut into windows, the LiteRT model gives each a logit, and the mean over the windows with speech is
calibrated to a log-likelihood ratio. An operating point turns that into a label. No TensorFlow is imported here.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import audio
from pipeline.audio import DEFAULT_LIMITS, WHOLE, Limits, Source, Span, speech, windows
from pipeline.audio.speech import MIN_SPEECH_S, Speech
from pipeline.common import parallel
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF
from pipeline.errors import AudioError, AudioFault
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring import runtimes
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row
from pipeline.scoring.runtimes import LiteRt, Outputs
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.scoring.spoofed_segments import SpoofedSegment

Network = Callable[[np.ndarray], np.ndarray]
BATCH_WINDOWS = 16
"""Most windows per call of the model: memory stays bounded however long a recording is."""
ANY_LENGTH = "; `python -m pipeline.analyse` takes recordings of any length"
NO_SPEECH = "no_speech"
"""Label of recordings and windows with less than ``MIN_SPEECH_S`` of speech; they keep their score."""
PARTLY_SPOOF = "partly_spoof"
"""Label of a recording that is bonafide as a whole and holds a spoofed segment."""
UNFAMILIAR = "unfamiliar"
"""Label of speech that is unlike what the model learnt from, whatever its score; see ``scoring.familiarity``."""


@dataclass(frozen=True)
class Plan:
    """First samples ``[windows]`` of the windows of a recording, rising; see ``ScoredWindows`` for the marks."""

    starts: np.ndarray
    counted: np.ndarray
    located: np.ndarray


class Detector:
    """Model folder loaded for scoring.

    Parameters
    ----------
    model : the model folder.
    threads : threads of the LiteRT interpreter; 0 takes all cores that this process may use.
    network : function from windows ``[windows, clip_samples]`` to logits ``[windows]`` that replaces the folder's
        LiteRT file.

    Threads cannot share an instance: make one per thread, or use a ``scoring.pool.Pool``.
    """

    def __init__(self, model: ModelFolder, threads: int = 0, network: Network | None = None):
        self.model = model
        self._network = network or LiteRt(model.litert, threads or parallel.cores())
        self._outputs = getattr(self._network, "outputs", lambda part: (self._network(part), None))

    def cut(self, wave: np.ndarray, starts: Sequence[int]) -> np.ndarray:
        """The windows ``[windows, clip_samples]`` of a recording ``[samples]`` that begin at these samples."""
        return np.stack([windows.cut(wave, start, self.model.config.window) for start in starts])

    def window_logits(self, batch: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        return self.outputs(batch)[0]

    def outputs(self, batch: np.ndarray) -> Outputs:
        """Logits and embeddings of windows ``[windows, clip_samples]`` float32 in −1…1."""
        return runtimes.joined(
            [self._outputs(batch[i : i + BATCH_WINDOWS]) for i in range(0, len(batch), BATCH_WINDOWS)]
        )

    def utterance_logit(self, wave: np.ndarray) -> float:
        """Mean logit over the windows of a recording ``[samples]`` float32 in −1…1 that count."""
        return next(self.utterance_logits([wave]))

    def utterance_logits(
        self, waves: Iterable[np.ndarray], speeches: Iterable[Speech] | None = None
    ) -> Iterator[float]:
        """Mean logit of each recording, see ``utterance_outputs``."""
        return (logit for logit, _ in self.utterance_outputs(waves, speeches))

    def utterance_outputs(
        self, waves: Iterable[np.ndarray], speeches: Iterable[Speech] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """Mean logit of each recording and its mean embedding ``[units]``, if the network has them, in order.

        Windows of several recordings share a call of the model. ``speeches`` is the speech of each recording if it is
        known already.
        """
        known = iter(speeches) if speeches is not None else itertools.repeat(None)
        pending: list[np.ndarray] = []
        for wave, found in zip(waves, known, strict=speeches is not None):
            found = found or speech.find(wave)
            starts = windows.counted(found, self.model.clip_samples, self.model.config.window.windows)
            pending.append(self.cut(wave[: found.end], starts))
            if sum(map(len, pending)) >= BATCH_WINDOWS:
                yield from self._means(pending)
                pending = []
        if pending:
            yield from self._means(pending)

    def plan(self, found: Speech, *, hop_s: float = 0.0, also: Iterable[int] = ()) -> Plan:
        """Windows of a recording with this speech.

        Spoofed segments are sought in windows ``hop_s`` apart; by default in those that the model scores, or half a
        window apart if that is only the first. ``also`` are first samples of further windows, to be drawn.
        """
        size, mode = self.model.clip_samples, self.model.config.window.windows
        counted = windows.counted(found, size, mode)
        located = windows.within(found, size, "overlapping" if mode == "first" else mode)
        if hop_s:
            located = [*range(found.start, located[-1], round(hop_s * SAMPLE_RATE_HZ)), located[-1]]
        starts = np.array(sorted({*counted, *located, *also}))
        return Plan(starts, np.isin(starts, counted), np.isin(starts, located))

    def score_windows(
        self,
        wave: np.ndarray,
        *,
        found: Speech | None = None,
        hop_s: float = 0.0,
        drawn: Callable[[Speech], Iterable[int]] | None = None,
    ) -> ScoredWindows:
        """Score the windows of a recording ``[samples]`` float32 in −1…1 at 16 kHz.

        Parameters
        ----------
        found : speech of the recording if it is known already.
        hop_s : see ``plan``.
        drawn : gives first samples of further windows from the speech of the recording.
        """
        found = found or speech.find(wave)
        plan = self.plan(found, hop_s=hop_s, also=drawn(found) if drawn else ())
        parts = [plan.starts[i : i + BATCH_WINDOWS] for i in range(0, len(plan.starts), BATCH_WINDOWS)]
        outputs = runtimes.joined([self._outputs(self.cut(wave[: found.end], part)) for part in parts])
        return self.scored(len(wave), found, plan, *outputs)

    def scored(
        self, samples: int, found: Speech, plan: Plan, logits: np.ndarray, embeddings: np.ndarray | None = None
    ) -> ScoredWindows:
        """Windows of a recording of ``samples`` samples with their logits ``[windows]`` and embeddings."""
        scores = self.model.calibration.apply(logits)
        size = self.model.clip_samples
        return ScoredWindows(samples, size, plan.starts, logits, scores, plan.counted, plan.located, found, embeddings)

    def familiarity(self, embedding: np.ndarray | None) -> float | None:
        """Familiarity of an embedding ``[units]``; ``None`` without one, or for a model that measures none."""
        return None if embedding is None or self.model.usual is None else self.model.usual.familiarity(embedding)

    def row(self, source: str, recording: Source, point: OperatingPoint | None = None, *, span: Span = WHOLE) -> Row:
        """The row of one recording, see ``rows``."""
        return self.rows(source, recording, point, span=span)[0]

    def rows(
        self,
        source: str,
        recording: Source,
        point: OperatingPoint | None = None,
        *,
        timeline: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        span: Span = WHOLE,
    ) -> list[Row]:
        """The row of one recording, or with ``timeline`` the rows of its windows.

        Parameters
        ----------
        source : name of the recording in its rows.
        recording : path, or bytes of a file. One that cannot be scored, for whatever reason, gives a single row with
            its error.
        point : operating point; by default the model's.
        limits : limits on the file, besides the model's own on duration and level.
        span : part of the recording to score. ``duration_s`` is that of the part, all other times are the recording's.
        """
        started, point = time.perf_counter(), point or self.model.point()
        try:
            decoded = self.decode(recording, limits=limits, span=span)
            scored = self.score_windows(decoded.wave)
        except Exception as error:  # no recording may end a job
            found, note = [self.error_row(source, AudioError.of(error))], ""
        else:
            note = decoded.note
            found = self.window_rows(source, scored, point) if timeline else [self.whole_row(source, scored, point)]
        latency_ms = 1000 * (time.perf_counter() - started)
        return [dataclasses.replace(row.later(span.start_s), latency_ms=latency_ms, note=note) for row in found]

    def decode(self, recording: Source, *, limits: Limits = DEFAULT_LIMITS, span: Span = WHOLE) -> audio.Decoded:
        """A recording decoded within the model's own limits and these; raises ``AudioError``."""
        return audio.read(recording, config=self.model.config.audio, limits=limits, span=span)

    def error_row(self, source: str, error: AudioError) -> Row:
        """The row of a recording that cannot be scored, without its latency."""
        remedy = ANY_LENGTH if error.kind is AudioFault.TOO_LONG else ""
        return Row(source, model_version=self.model.model_version, error=f"{error}{remedy}")

    def whole_row(
        self,
        source: str,
        scored: ScoredWindows,
        point: OperatingPoint,
        segments: Sequence[SpoofedSegment] | None = None,
    ) -> Row:
        """The row of a recording, without its latency; ``segments`` are its spoofed segments if already found."""
        if segments is None:
            segments = scored.spoofed_segments(threshold=point.segment_threshold)
        row = self._row(source, scored, point, scored.logit, 0, scored.samples, scored.embedding)
        worst_score, start_s, end_s = scored.worst(segments)
        label = PARTLY_SPOOF if segments and row.label == BONAFIDE else row.label
        return dataclasses.replace(row, label=label, worst_score=worst_score, worst_start_s=start_s, worst_end_s=end_s)

    def window_rows(self, source: str, scored: ScoredWindows, point: OperatingPoint) -> list[Row]:
        """A row for each window, without its latency."""
        embeddings = [None] * len(scored.logits) if scored.embeddings is None else scored.embeddings
        found = zip(scored.logits.tolist(), scored.starts.tolist(), scored.ends.tolist(), embeddings, strict=True)
        return [self._row(source, scored, point, *window) for window in found]

    def _row(
        self,
        source: str,
        scored: ScoredWindows,
        point: OperatingPoint,
        logit: float,
        start: int,
        end: int,
        embedding: np.ndarray | None,
    ) -> Row:
        score = float(self.model.calibration.apply(logit))
        speech_s = float(scored.speech.seconds(start, end))
        familiarity = self.familiarity(embedding)
        label = BONAFIDE if score >= point.threshold else SPOOF
        if familiarity is not None and familiarity < point.familiarity:
            label = UNFAMILIAR
        label = label if speech_s >= MIN_SPEECH_S else NO_SPEECH
        traced = self.model.attacks and embedding is not None and label == SPOOF
        attack, attack_probability = self.model.attacks.trace(embedding) if traced else ("", None)
        return Row(
            source,
            start_s=start / SAMPLE_RATE_HZ,
            end_s=end / SAMPLE_RATE_HZ,
            duration_s=scored.duration_s,
            speech_s=speech_s,
            score=score,
            spoof_probability=spoof_probability(score, point.prior_spoof),
            label=label,
            model_version=self.model.model_version,
            familiarity=familiarity,
            attack=attack,
            attack_probability=attack_probability,
        )

    def _means(self, pending: list[np.ndarray]) -> Iterator[tuple[float, np.ndarray | None]]:
        logits, embeddings = self.outputs(np.concatenate(pending))
        for own in np.split(np.arange(len(logits)), np.cumsum([len(cut) for cut in pending])[:-1]):
            yield float(logits[own].mean()), None if embeddings is None else embeddings[own].mean(axis=0)


def spoof_probability(score: float, prior_spoof: float) -> float:
    """Probability of spoof by Bayes' rule, from a log-likelihood ratio and the prior of spoof."""
    log_odds = score + math.log((1 - prior_spoof) / prior_spoof)
    return 1 / (1 + math.exp(min(log_odds, 700.0)))
