"""The detector: the one path from audio to score, shared by evaluation, batch scoring and serving.

A recording is cut into windows, the LiteRT model gives each a logit, their mean is calibrated to a log-likelihood
ratio, and an operating point turns that into a label. No TensorFlow is imported here.
"""

import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline import audio, windows
from pipeline.bundle import Bundle
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF
from pipeline.errors import AudioError

BATCH_WINDOWS = 16
"""Windows a call of the model at most: memory stays bounded however long a recording is."""
NO_SPEECH = "no_speech"
MIN_SPEECH_S = 0.3
"""Recordings with less speech get the label ``no_speech`` instead of a guess; their score is still there."""


@dataclass(frozen=True)
class Row:
    """What is said of one recording, the same columns wherever rows appear.

    ``score`` is a calibrated log-likelihood ratio, higher = bonafide; ``spoof_probability`` holds at the prior of the
    operating point. What cannot be scored has an ``error`` and neither score nor label.
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


class Detector:
    """A model folder made ready to score.

    Parameters
    ----------
    bundle : the model folder.
    threads : threads of the LiteRT interpreter; 0 takes all cores that this process may use.

    An instance is not safe to share between threads.
    """

    def __init__(self, bundle: Bundle, threads: int = 0):
        from ai_edge_litert.interpreter import Interpreter

        self.bundle = bundle
        self._interpreter = Interpreter(
            model_path=str(bundle.litert), num_threads=threads or len(os.sched_getaffinity(0))
        )
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._batch = 0

    def window_logits(self, batch: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        parts = [batch[i : i + BATCH_WINDOWS] for i in range(0, len(batch), BATCH_WINDOWS)]
        return np.concatenate([self._invoke(part) for part in parts])

    def utterance_logit(self, wave: np.ndarray) -> float:
        """Mean logit over the windows of a recording ``[samples]`` float32 in −1…1."""
        return float(self.window_logits(self._cut(wave)).mean())

    def utterance_logits(self, waves: Iterable[np.ndarray]) -> Iterator[float]:
        """Mean logit of each recording, in order; windows of several recordings share a call of the model."""
        pending: list[np.ndarray] = []
        sizes: list[int] = []
        for wave in waves:
            cut = self._cut(wave)
            pending.append(cut)
            sizes.append(len(cut))
            if sum(sizes) >= BATCH_WINDOWS:
                yield from self._means(pending, sizes)
                pending, sizes = [], []
        if sizes:
            yield from self._means(pending, sizes)

    def row(
        self, source: str, recording: audio.Source, *, operating_point: str = "", threshold: float | None = None
    ) -> Row:
        """Score one recording, given by path or bytes; ``source`` is what the row calls it.

        ``threshold`` on the calibrated score replaces the operating point's. Audio that cannot be decoded gives a row
        with its error.
        """
        from pipeline import speech

        started = time.perf_counter()
        point = self.bundle.point(operating_point)
        version = self.bundle.model_version
        try:
            wave = audio.decode(recording, config=self.bundle.config.audio)
        except AudioError as error:
            return Row(source, model_version=version, latency_ms=_since_ms(started), error=str(error))
        score = float(self.bundle.calibration.apply(self.utterance_logit(wave)))
        heard_s = speech.speech_s(wave)
        label = BONAFIDE if score >= (point.threshold if threshold is None else threshold) else SPOOF
        duration_s = len(wave) / SAMPLE_RATE_HZ
        return Row(
            source,
            start_s=0.0,
            end_s=duration_s,
            duration_s=duration_s,
            speech_s=heard_s,
            score=score,
            spoof_probability=spoof_probability(score, point.prior_spoof),
            label=label if heard_s >= MIN_SPEECH_S else NO_SPEECH,
            model_version=version,
            latency_ms=_since_ms(started),
        )

    def _cut(self, wave: np.ndarray) -> np.ndarray:
        size, settings = self.bundle.clip_samples, self.bundle.config.train
        starts = windows.starts(len(wave), size, settings.windows)
        return np.stack([windows.cut(wave, start, size, settings.pad) for start in starts])

    def _means(self, pending: list[np.ndarray], sizes: list[int]) -> Iterator[float]:
        logits = self.window_logits(np.concatenate(pending))
        for part in np.split(logits, np.cumsum(sizes)[:-1]):
            yield float(part.mean())

    def _invoke(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) != self._batch:
            self._interpreter.resize_tensor_input(self._input, batch.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(batch)
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(batch, np.float32))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)[:, 0].astype(np.float64)


def spoof_probability(score: float, prior_spoof: float) -> float:
    """Probability of spoof by Bayes' rule, from a log-likelihood ratio and the prior of spoof."""
    log_odds = score + math.log((1 - prior_spoof) / prior_spoof)
    return 1 / (1 + math.exp(min(log_odds, 700.0)))


def _since_ms(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
