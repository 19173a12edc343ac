"""Scores of a stream, step by step: speech in the window, smoothed score, label, and a summary of the latencies.

Used by ``stream`` and by the page's streams.
"""

import dataclasses
import json
import time
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from pipeline.audio import speech
from pipeline.audio.speech import MIN_SPEECH_S
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.detector import NO_SPEECH, UNFAMILIAR, Detector
from pipeline.serving.latency_log import PERCENTILES, class_of, middle_ms
from pipeline.streaming.smoothing import Hysteresis, RunningMean
from pipeline.streaming.steps import Step

STEP_S = 0.25
"""Seconds between scores."""
SMOOTH_S = 1.0
"""Memory of the smoothed score, in s."""
HYSTERESIS = 0.5
"""Distance from the threshold at which the smoothed score changes the label."""


@dataclass(frozen=True)
class Line:
    """Result of one step. ``score`` is that of the window that ends at ``time_s``, higher = bonafide.

    ``smoothed_score`` and the label that follows from it wait until the window holds enough speech. ``speech`` tells
    whether the step itself holds speech, ``speech_s`` how much the window holds. ``latency_ms`` runs from the last
    sample of the window to the score. ``dropped`` counts the steps skipped before this one. ``familiarity`` is that of
    the window, as in ``scoring.row.Row``.
    """

    time_s: float
    score: float
    smoothed_score: float | None
    label: str
    speech: bool
    speech_s: float
    latency_ms: float
    dropped: int
    familiarity: float | None = None


class Listener:
    """Scores the steps of one stream.

    Parameters
    ----------
    detector : the model.
    point : threshold on the smoothed score from which speech counts as bonafide, and least familiarity.
    smooth_s : memory of the smoothed score, in s; 0: none.
    hysteresis : distance from the threshold at which the smoothed score changes the label.
    """

    def __init__(self, detector: Detector, *, point: OperatingPoint, smooth_s: float, hysteresis: float):
        self._detector = detector
        self._meter = SpeechMeter(detector.model.config.window.clip_s)
        self._mean = RunningMean(smooth_s)
        self._decision = Hysteresis(point.threshold, hysteresis)
        self._least_familiarity = point.familiarity
        self._label = NO_SPEECH
        # The first call of each takes many times as long as the others.
        detector.window_logits(np.zeros((1, detector.model.clip_samples), np.float32))
        self._meter.warm_up()

    def line(self, step: Step) -> Line:
        """Score one step; steps come in order."""
        # A window that is not full yet is padded as that of a short clip.
        window = self._detector.cut(step.window, [0])
        logits, embeddings = self._detector.outputs(window)
        score = float(self._detector.model.calibration.apply(logits)[0])
        familiarity = self._detector.familiarity(None if embeddings is None else embeddings[0])
        fresh_speech, speech_s = self._meter.add(step.fresh, gap=step.gap)
        time_s = step.end / SAMPLE_RATE_HZ
        enough = speech_s >= MIN_SPEECH_S
        if enough:
            self._label = self._decision.label(self._mean.add(score, time_s))
        strange = familiarity is not None and familiarity < self._least_familiarity
        return Line(
            time_s=time_s,
            score=score,
            smoothed_score=self._mean.value,
            label=NO_SPEECH if not enough else UNFAMILIAR if strange else self._label,
            speech=fresh_speech,
            speech_s=speech_s,
            latency_ms=1000 * (time.monotonic() - step.arrived),
            dropped=step.dropped,
            familiarity=familiarity,
        )


class SpeechMeter:
    """Speech in the last window of a stream.

    Parameters
    ----------
    window_s : length of the window, in s.
    """

    def __init__(self, window_s: float):
        self._detector = speech.SpeechDetector()
        self._pending = np.zeros(0, np.float32)
        self._spoken: deque[bool] = deque([False], maxlen=max(1, round(window_s / speech.CHUNK_S)))

    def warm_up(self) -> None:
        """Run once on silence, so that the first step is as fast as the others."""
        self._detector.probabilities(np.zeros(speech.CHUNK_SAMPLES, np.float32))
        self._detector.reset()

    def add(self, fresh: np.ndarray, *, gap: bool = False) -> tuple[bool, float]:
        """Add the newest samples; return whether they hold speech, and the seconds of speech in the window."""
        if gap:
            self._detector.reset()
            self._pending = np.zeros(0, np.float32)
        samples = np.concatenate([self._pending, fresh])
        whole = len(samples) - len(samples) % speech.CHUNK_SAMPLES
        self._pending = samples[whole:]
        spoken = self._detector.probabilities(samples[:whole]) >= speech.SPEECH_PROBABILITY
        self._spoken.extend(spoken.tolist())
        return bool(spoken.any()), sum(self._spoken) * speech.CHUNK_S


@dataclass
class Summary:
    """Counts over a stream."""

    step_s: float
    audio_s: float = 0.0
    steps: int = 0
    dropped: int = 0
    missed_deadlines: int = 0
    busy_s: float = 0.0
    max_ms: float = 0.0
    classes: Counter[int] = dataclasses.field(default_factory=Counter)

    def add(self, line: Line, busy_s: float) -> None:
        """Count a step that took ``busy_s`` of work."""
        self.audio_s = line.time_s
        self.steps += 1
        self.dropped += line.dropped
        self.missed_deadlines += line.latency_ms > 1000 * self.step_s
        self.busy_s += busy_s
        self.max_ms = max(self.max_ms, line.latency_ms)
        self.classes[class_of(line.latency_ms)] += 1

    def values(self) -> dict[str, float]:
        """Everything as plain numbers. ``real_time_factor`` is seconds of work per second of audio."""
        counts = {name: getattr(self, name) for name in ("audio_s", "steps", "dropped", "missed_deadlines")}
        speed = {"real_time_factor": self.busy_s / max(self.audio_s, 1e-9)}
        latency = {f"latency_p{percent}_ms": self._percentile_ms(percent) for percent in PERCENTILES}
        return counts | speed | latency | {"latency_max_ms": self.max_ms}

    def _percentile_ms(self, percent: float) -> float:
        """Latency that ``percent`` per cent of the steps do not exceed, to within half a class of time (2.3 %)."""
        left = percent / 100 * self.steps
        for number in sorted(self.classes):
            left -= self.classes[number]
            if left <= 0:
                return min(middle_ms(number), self.max_ms)
        return self.max_ms


def json_line(values: dict) -> str:
    """Values as JSON, rounded to six digits behind the point."""
    return json.dumps({name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()})
