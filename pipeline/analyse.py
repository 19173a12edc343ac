"""Analyse a conversation of minutes or hours: its speech, its score over time, and the segments that sound spoofed.

Each channel of a stereo call is scored as one party. Writes ``analysis.json``, ``timeline.png``, and the spoofed
segments as ``segments.csv`` and ``segments.rttm``, into a folder.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio, cli
from pipeline.common.progress import LOG_EVERY_S
from pipeline.config import MODEL_HELP, SAMPLE_RATE_HZ, Config, artifacts_dir, fingerprint, option
from pipeline.errors import AudioError, ConfigError
from pipeline.metrics.calibration import FAMILIARITY
from pipeline.scoring import model_folders, parties, segment_files, spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.parties import Party

JSON, PNG, CSV, RTTM = "analysis.json", "timeline.png", "segments.csv", "segments.rttm"
LEAST_HOP_S = 0.05
PASSES = ("extent", "speech", "scores")
"""Names of the passes over a recording, see ``scoring.timeline``."""


@dataclass(frozen=True)
class AnalyseOptions(audio.SpanOptions):
    """Recording and model."""

    input: tuple[str, ...] = option((), "one recording")
    model: str = option("", MODEL_HELP)
    output: str = option("", "folder for the results; empty: one under artifacts/analyses")
    channels: str = option(
        "separate", "separate: each channel is a party; mix: their average", choices=("separate", "mix")
    )
    operating_point: str = option("", "named threshold of the label (eer, min_dcf); empty: the model's default")
    threshold: float | None = option(
        None, "score below which speech sounds spoofed; replaces the operating point and the threshold for segments"
    )
    familiarity: float = option(
        FAMILIARITY, "share of dev under which speech is unfamiliar and gets no verdict; 0: all gets one", least=0
    )
    hop_s: float = option(0.0, "seconds between scores; 0: a quarter of a window", least=0)
    switch_cost: float = option(
        spoofed_segments.SWITCH_COST,
        "evidence in nats that a switch costs; higher finds fewer and longer segments",
        least=0,
    )


@cli.command(options=AnalyseOptions)
def main(_: Config, options: AnalyseOptions) -> int:
    """Entry point ``analyse``."""
    if len(options.input) != 1:
        raise ConfigError(f"--input: expected one recording, found {len(options.input)}")
    source, span = os.path.expanduser(options.input[0]), options.span
    folder = Path(options.output) if options.output else _folder(source, span)
    if options.output:  # fails before the work if it cannot be written
        folder.mkdir(parents=True, exist_ok=True)
    detector = Detector(model_folders.ModelFolder.load(model_folders.find(options.model)))
    model, mix = detector.model, options.channels == "mix"
    if 0 < options.hop_s < LEAST_HOP_S:
        raise ConfigError(f"--hop_s {options.hop_s:g}: expected 0, or {LEAST_HOP_S:g} or more")
    point = model.point(options.operating_point, options.threshold, options.familiarity)
    notes: list[audio.Note] = []
    passes = iter(PASSES)

    def read() -> Iterator[np.ndarray]:
        notes.clear()
        return _logged(audio.blocks(Path(source), mix=mix, notes=notes, span=span), next(passes))

    hop_s = options.hop_s or spoofed_segments.HOP_WINDOWS * model.config.window.clip_s
    settings = {"hop_s": hop_s, "switch_cost": options.switch_cost}
    try:
        found = parties.find(read, detector, mixed=mix, point=point, start_s=span.start_s, **settings)
    except AudioError as error:
        raise AudioError(error.kind, error.detail, source) from None
    folder.mkdir(parents=True, exist_ok=True)
    settings |= {"threshold": point.threshold, "segment_threshold": point.segment_threshold}
    settings |= {"model_version": model.model_version}
    settings |= {"window_s": model.config.window.clip_s}
    settings |= {"start_s": span.start_s, "notes": [str(note) for note in notes]}
    (folder / JSON).write_text(json.dumps(parties.as_json(source, found, **settings)), encoding="utf-8")
    (folder / CSV).write_text(segment_files.table(found), encoding="utf-8")
    (folder / RTTM).write_text(segment_files.rttm(Path(source).stem, found), encoding="utf-8")
    from pipeline.reporting import conversation_figure, style

    drawn = conversation_figure.timeline(found, threshold=point.segment_threshold, title=Path(source).name)
    (folder / PNG).write_bytes(style.png(drawn))
    print("\n".join([table(found), *settings["notes"]]))
    print("\n".join(str(folder / name) for name in (JSON, CSV, RTTM, PNG)))
    return 0


def table(found: Sequence[Party]) -> str:
    """Score, label, speech and spoofed segments of each party, as lines."""
    lines = []
    for party in found:
        name = f"channel {party.channel}" if party.channel else "all channels"
        spoken = f"{clock(party.row.speech_s)} of speech in {clock(party.scored.duration_s)}"
        lines.append(f"{name}: {party.row.label}, score {party.row.score:+.2f}, {spoken}")
        lines += [
            f"  {clock(segment.start_s)} to {clock(segment.end_s)}  sounds spoofed, "
            f"score {segment.score:+.2f}, confidence {segment.confidence:.3f}"
            for segment in party.spoofed_segments
        ]
        if not party.spoofed_segments:
            lines.append("  no segment sounds spoofed")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Minutes and seconds to the tenth, with hours from one hour on: ``1:02:03.4``."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    head = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


def _logged(blocks: Iterable[np.ndarray], what: str) -> Iterator[np.ndarray]:
    """The blocks of a recording; logs at intervals what is read and up to where."""
    samples, logged = 0, time.monotonic()
    for block in blocks:
        yield block
        samples += len(block)
        if time.monotonic() - logged >= LOG_EVERY_S:
            logged = time.monotonic()
            print(f"analyse: {what}, {clock(samples / SAMPLE_RATE_HZ)}", file=sys.stderr, flush=True)


def _folder(source: str, span: audio.Span) -> Path:
    key = fingerprint(str(Path(source).resolve()), *([] if span == audio.WHOLE else [span]))
    return artifacts_dir() / "analyses" / f"{Path(source).stem}-{key}"


if __name__ == "__main__":
    cli.run(main)
