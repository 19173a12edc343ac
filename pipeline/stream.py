"""Score live audio: a rolling window over standard input, a file or a microphone, one JSON line per step.

The window ends at the newest audio. If the model is slower than the audio, steps are skipped and counted, so that each
line is about now. A summary goes to standard error at the end.
"""

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import cli
from pipeline.audio import WHOLE, SpanOptions
from pipeline.config import MODEL_HELP, SAMPLE_RATE_HZ, Config, option
from pipeline.errors import AudioError, ConfigError
from pipeline.metrics.calibration import FAMILIARITY
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.streaming import pcm, sources
from pipeline.streaming.feed import Feed
from pipeline.streaming.listener import HYSTERESIS, SMOOTH_S, STEP_S, Listener, Summary, json_line
from pipeline.streaming.smoothing import reachable_margin
from pipeline.streaming.steps import Step


@dataclass(frozen=True)
class StreamOptions(SpanOptions):
    """Source of the audio, model and steps."""

    input: str = option("-", "file, microphone, or -: standard input, WAV or raw samples")
    model: str = option("", MODEL_HELP)
    operating_point: str = option("", "named threshold of the model (eer, min_dcf); empty: the model's default")
    threshold: float | None = option(None, "score from which speech counts as bonafide; replaces the operating point")
    familiarity: float = option(
        FAMILIARITY, "share of dev under which speech is unfamiliar and gets no verdict; 0: all gets one", least=0
    )
    step_s: float = option(STEP_S, "seconds between scores", least=0.02)
    smooth_s: float = option(SMOOTH_S, "memory of the smoothed score, in s; 0: none", least=0)
    hysteresis: float = option(
        HYSTERESIS, "distance from the threshold at which the smoothed score changes the label", least=0
    )
    pace: str = option(
        "real",
        "real: play a file in real time, and skip steps if the model is too slow; fast: score every step, as fast as "
        "possible",
        choices=("real", "fast"),
    )
    format: str = option("s16le", "raw samples on standard input", choices=tuple(pcm.SAMPLE_FORMATS))
    rate_hz: int = option(SAMPLE_RATE_HZ, "sample rate of raw samples on standard input", least=4000)
    channels: int = option(1, "channels of raw samples on standard input; they are averaged", least=1)
    track: bool = option(False, "log the summary to MLflow")


@cli.command(options=StreamOptions)
def main(_: Config, options: StreamOptions) -> int:
    """Entry point ``stream``."""
    if options.span != WHOLE and options.input in (sources.STDIN, sources.MICROPHONE):
        raise ConfigError(f"--start and --end: --input {options.input} has no known length; name a file")
    model = ModelFolder.load(model_folders.find(options.model))
    point = model.point(options.operating_point, options.threshold, options.familiarity)
    margin = _margin(model, point.threshold, options)
    listener = Listener(Detector(model), point=point, smooth_s=options.smooth_s, hysteresis=margin)
    feed = Feed(
        _blocks(options),
        window=model.clip_samples,
        step=round(options.step_s * SAMPLE_RATE_HZ),
        lossless=options.pace == "fast",
    )
    summary = Summary(options.step_s)
    # The end of the source, `kill` and Ctrl-C all end a stream with its summary.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _listen(feed.steps(), listener, summary, options.start)
    except AudioError as error:
        raise AudioError(error.kind, error.detail, f"--input {options.input}") from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        cli.drop_output()
    finally:
        feed.close()
    print(json_line(summary.values()), file=sys.stderr)
    if summary.dropped and options.pace == "real":
        print(
            f"skipped {summary.dropped} of {summary.dropped + summary.steps} steps: the model is slower than the "
            "audio; take a larger --step_s, or --pace fast for a recording",
            file=sys.stderr,
        )
    if options.track:
        _log(options, model.model_version, summary)
    return 0


def _margin(model: ModelFolder, threshold: float, options: StreamOptions) -> float:
    """Hysteresis that the model's scores allow, with a line on standard error if it is less than was asked for."""
    lower, upper = model.calibration.lower, model.calibration.upper
    margin = reachable_margin(options.hysteresis, threshold, lower, upper)
    if margin < options.hysteresis:
        print(
            f"--hysteresis {options.hysteresis:g} would fix the label: scores of this model lie between {lower:.2f} "
            f"and {upper:.2f}, the threshold is {threshold:.2f}; {margin:.2f} is used",
            file=sys.stderr,
        )
    return margin


def _blocks(options: StreamOptions) -> Iterator[np.ndarray]:
    if options.input == sources.MICROPHONE:
        return sources.microphone()
    if options.input == sources.STDIN:
        if sys.stdin.isatty():
            raise ConfigError("--input -: standard input is a terminal; pipe audio in, or name a file or microphone")
        return pcm.blocks(sys.stdin.buffer.raw, pcm.Layout(options.format, options.rate_hz, options.channels))
    return sources.recording(Path(os.path.expanduser(options.input)), paced=options.pace == "real", span=options.span)


def _listen(steps: Iterator[Step], listener: Listener, summary: Summary, start_s: float) -> None:
    for step in steps:
        started = time.monotonic()
        line = listener.line(step)
        line = dataclasses.replace(line, time_s=line.time_s + start_s)
        summary.add(line, time.monotonic() - started)
        print(json_line(dataclasses.asdict(line)), flush=True)


def _log(options: StreamOptions, model_version: str, summary: Summary) -> None:
    import mlflow

    from pipeline import tracking

    with tracking.run("stream", stage="stream", tags={"model_version": model_version}):
        mlflow.log_params({f"stream/{name}": value for name, value in dataclasses.asdict(options).items()})
        mlflow.log_metrics({f"stream/{k}": float(v) for k, v in summary.values().items()})


if __name__ == "__main__":
    cli.run(main)
