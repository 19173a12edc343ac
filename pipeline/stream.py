"""Score live audio: a rolling window over standard input, a file or a microphone, one JSON line a step.

The window ends at the newest audio. Where the model is slower than the audio comes, steps are passed over and counted,
so that what is printed is always about now. A summary goes to standard error at the end.
"""

import dataclasses
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import cli
from pipeline.config import SAMPLE_RATE_HZ, Config, option
from pipeline.errors import AudioError, ConfigError
from pipeline.scoring import model_folders
from pipeline.scoring.detector import MIN_SPEECH_S, NO_SPEECH, Detector
from pipeline.serving.latency_log import PERCENTILES, class_of, middle_ms
from pipeline.streaming import sources
from pipeline.streaming.feed import Feed, SpeechMeter, Step
from pipeline.streaming.smoothing import Hysteresis, RunningMean


@dataclass(frozen=True)
class StreamOptions:
    """What to listen to, and with which model."""

    input: str = option("-", "file, microphone, or -: standard input, WAV or raw samples")
    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion that register left")
    operating_point: str = option("", "named threshold of the model (eer, min_dcf); empty: the model's default")
    threshold: str = option("", "score from which speech counts as bonafide, instead of an operating point")
    step_s: float = option(0.25, "seconds between scores")
    smooth_s: float = option(1.0, "memory of the smoothed score, in s; 0: none")
    hysteresis: float = option(0.5, "how far beyond the threshold the smoothed score must lie to change the label")
    pace: str = option(
        "real",
        "real: a file as fast as it would be heard, and steps are passed over where the model is too slow; fast: "
        "every step, as fast as they can be scored",
        choices=("real", "fast"),
    )
    format: str = option("s16le", "raw samples on standard input", choices=tuple(sources.SAMPLE_FORMATS))
    rate_hz: int = option(SAMPLE_RATE_HZ, "sample rate of raw samples on standard input")
    channels: int = option(1, "channels of raw samples on standard input; they are averaged")
    track: bool = option(False, "log the summary to MLflow")


@dataclass(frozen=True)
class Line:
    """What is said of one step. ``score`` is of the window that ends at ``time_s``, higher = bonafide.

    ``smoothed_score`` and the label that follows from it wait until the window holds enough speech; ``speech`` says
    whether the step itself holds some, ``speech_s`` how much is in the window. ``latency_ms`` runs from the last sample
    of the window to the score; ``dropped`` steps before this one were passed over.
    """

    time_s: float
    score: float
    smoothed_score: float | None
    label: str
    speech: bool
    speech_s: float
    latency_ms: float
    dropped: int


class Listener:
    """Scores the steps of one stream.

    Parameters
    ----------
    detector : the model.
    threshold : calibrated score from which speech counts as bonafide.
    smooth_s, hysteresis : see ``StreamOptions``.
    """

    def __init__(self, detector: Detector, *, threshold: float, smooth_s: float, hysteresis: float):
        self._detector = detector
        self._meter = SpeechMeter(detector.model.config.window.clip_s)
        self._mean = RunningMean(smooth_s)
        self._decision = Hysteresis(threshold, hysteresis)
        self._label = NO_SPEECH
        # The first call of each takes many times as long as the others.
        detector.window_logits(np.zeros((1, detector.model.clip_samples), np.float32))
        self._meter.warm_up()

    def line(self, step: Step) -> Line:
        """Score one step; steps come in order."""
        model = self._detector.model
        # A window that is not full yet is filled as that of a short clip is.
        window = self._detector.cut(step.window, [0])
        score = float(model.calibration.apply(self._detector.window_logits(window))[0])
        fresh_speech, speech_s = self._meter.add(step.fresh, gap=step.gap)
        time_s = step.end / SAMPLE_RATE_HZ
        enough = speech_s >= MIN_SPEECH_S
        if enough:
            self._label = self._decision.label(self._mean.add(score, time_s))
        return Line(
            time_s=time_s,
            score=score,
            smoothed_score=self._mean.value,
            label=self._label if enough else NO_SPEECH,
            speech=fresh_speech,
            speech_s=speech_s,
            latency_ms=1000 * (time.monotonic() - step.arrived),
            dropped=step.dropped,
        )


@dataclass
class Summary:
    """What is counted over a stream."""

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
        """Everything as plain numbers. ``real_time_factor`` is seconds of work for each second of audio."""
        counts = {name: getattr(self, name) for name in ("audio_s", "steps", "dropped", "missed_deadlines")}
        speed = {"real_time_factor": self.busy_s / max(self.audio_s, 1e-9)}
        latency = {f"latency_p{percent}_ms": self._percentile_ms(percent) for percent in PERCENTILES}
        return counts | speed | latency | {"latency_max_ms": self.max_ms}

    def _percentile_ms(self, percent: float) -> float:
        """Latency that so many per cent of the steps do not exceed, to within half a class of time (2.3 %)."""
        left = percent / 100 * self.steps
        for number in sorted(self.classes):
            left -= self.classes[number]
            if left <= 0:
                return min(middle_ms(number), self.max_ms)
        return self.max_ms


@cli.command(options=StreamOptions)
def main(_: Config, options: StreamOptions) -> int:
    """Entry point ``stream``."""
    _check(options)
    threshold = cli.number("threshold", options.threshold)
    model = model_folders.ModelFolder.load(model_folders.find(options.model))
    detector = Detector(model)
    listener = Listener(
        detector,
        threshold=detector.point(options.operating_point, threshold).threshold,
        smooth_s=options.smooth_s,
        hysteresis=options.hysteresis,
    )
    feed = Feed(
        _blocks(options),
        window=model.clip_samples,
        step=round(options.step_s * SAMPLE_RATE_HZ),
        lossless=options.pace == "fast",
    )
    summary = Summary(options.step_s)
    # A recorder that is stopped, `kill`, and Ctrl-C all end a stream in the same way: with its summary.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _listen(feed.steps(), listener, summary)
    except AudioError as error:
        raise AudioError(error.kind, error.detail, f"--input {options.input}") from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read the lines has gone; Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        feed.close()
    print(json.dumps(_rounded(summary.values())), file=sys.stderr)
    if summary.dropped and options.pace == "real":
        print(
            f"{summary.dropped} of {summary.dropped + summary.steps} steps were passed over; --pace fast scores all of "
            "a recording, a larger --step_s fewer",
            file=sys.stderr,
        )
    if options.track:
        _log(options, model.model_version, summary)
    return 0


def _check(options: StreamOptions) -> None:
    if options.step_s < 0.02:
        raise ConfigError(f"--step_s {options.step_s:g}: expected 0.02 or more")
    if not 4000 <= options.rate_hz <= 384000 or not 1 <= options.channels <= 32:
        raise ConfigError(
            f"--rate_hz {options.rate_hz} --channels {options.channels}: expected 4000 to 384000 and 1 to 32"
        )


def _blocks(options: StreamOptions) -> Iterator[np.ndarray]:
    if options.input == sources.MICROPHONE:
        return sources.microphone()
    if options.input == sources.STDIN:
        if sys.stdin.isatty():
            raise ConfigError("--input -: standard input is a terminal; pipe audio in, or name a file or microphone")
        raw = sources.Pcm(options.format, options.rate_hz, options.channels)
        return sources.pcm(sys.stdin.buffer.raw, raw)
    return sources.recording(Path(options.input), paced=options.pace == "real")


def _listen(steps: Iterator[Step], listener: Listener, summary: Summary) -> None:
    for step in steps:
        started = time.monotonic()
        line = listener.line(step)
        summary.add(line, time.monotonic() - started)
        print(json.dumps(_rounded(dataclasses.asdict(line))), flush=True)


def _rounded(values: dict) -> dict:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}


def _log(options: StreamOptions, model_version: str, summary: Summary) -> None:
    import mlflow

    from pipeline import tracking

    with tracking.run("stream", stage="stream", tags={"model_version": model_version}):
        mlflow.log_params({f"stream/{name}": value for name, value in dataclasses.asdict(options).items()})
        mlflow.log_metrics({f"stream/{k}": float(v) for k, v in summary.values().items()})


if __name__ == "__main__":
    cli.run(main)
