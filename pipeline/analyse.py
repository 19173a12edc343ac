"""Analyse a conversation of minutes or hours: where there is speech, how it sounds over time, and what sounds spoofed.

Each channel of a stereo call is a party and is analysed alone. Writes ``analysis.json`` and ``timeline.png`` into a
folder. Memory stays bounded: the recording is decoded and scored block by block.
"""

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio, cli
from pipeline.audio import speech
from pipeline.common.progress import LOG_EVERY_S
from pipeline.config import SAMPLE_RATE_HZ, Config, artifacts_dir, fingerprint, option
from pipeline.errors import AudioError, ConfigError
from pipeline.scoring import model_folders, spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.spoofed_segments import SpoofedSegment
from pipeline.scoring.timeline import Scorer, ScoreTimeline

JSON, PNG = "analysis.json", "timeline.png"


@dataclass(frozen=True)
class AnalyseOptions:
    """What to analyse, and with which model."""

    input: tuple[str, ...] = option((), "one recording")
    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion that register left")
    output: str = option("", "folder for analysis.json and timeline.png; empty: one under artifacts/analyses")
    channels: str = option(
        "separate", "separate: each channel is a party; mix: their average", choices=("separate", "mix")
    )
    operating_point: str = option("", "named threshold of the model (eer, min_dcf); empty: the model's default")
    threshold: str = option("", "score below which speech sounds spoofed, instead of an operating point")
    hop_s: float = option(0.5, "seconds between scores")
    switch_cost: float = option(
        spoofed_segments.SWITCH_COST, "evidence in nats that a change costs: higher finds fewer, longer stretches"
    )


@dataclass(frozen=True)
class Party:
    """What was found in one channel, counted from 1; 0 is the average of all."""

    channel: int
    heard: ScoreTimeline
    spoofed_segments: list[SpoofedSegment]

    @property
    def speech(self) -> list[tuple[float, float]]:
        """Start and end, in s, of each stretch of speech."""
        return speech.segments(self.heard.chunks)


def listen(recording: audio.Source, detector: Detector, *, mix: bool, hop_s: float) -> list[ScoreTimeline]:
    """Hear every channel of a recording, or their average. Raises ``AudioError`` for what cannot be decoded."""
    scorers: list[Scorer] = []
    samples_heard, told = 0, time.monotonic()
    for block in audio.blocks(recording, mix=mix):
        scorers = scorers or [Scorer(detector, hop_s=hop_s) for _ in range(block.shape[1])]
        for scorer, samples in zip(scorers, block.T, strict=True):
            scorer.add(samples)
        samples_heard += len(block)
        if time.monotonic() - told >= LOG_EVERY_S:
            told = time.monotonic()
            print(f"analyse: {clock(samples_heard / SAMPLE_RATE_HZ)} heard", file=sys.stderr, flush=True)
    return [scorer.finish() for scorer in scorers]


def as_json(source: str, parties: list[Party], **settings: object) -> dict:
    """Everything that was found, as plain values; seconds to the ms."""
    return {
        "source": source,
        "duration_s": round(parties[0].heard.duration_s, 3),
        **settings,
        "channels": [
            {
                "channel": party.channel,
                "speech_s": round(sum(end - start for start, end in party.speech), 3),
                "speech": [[round(start, 3), round(end, 3)] for start, end in party.speech],
                "spoofed": [dataclasses.asdict(found) for found in party.spoofed_segments],
                "times_s": np.round(party.heard.times_s, 3).tolist(),
                "scores": np.round(party.heard.scores, 4).tolist(),
                "windows_with_speech": party.heard.spoken.tolist(),
            }
            for party in parties
        ],
    }


def table(parties: list[Party]) -> str:
    """The stretches that sound spoofed, for people."""
    lines = []
    for party in parties:
        name = f"channel {party.channel}" if party.channel else "all channels"
        spoken_s = sum(end - start for start, end in party.speech)
        lines.append(f"{name}: {clock(spoken_s)} of speech in {clock(party.heard.duration_s)}")
        lines += [
            f"  {clock(found.start_s)} to {clock(found.end_s)}  sounds spoofed, "
            f"score {found.score:+.2f}, confidence {found.confidence:.3f}"
            for found in party.spoofed_segments
        ]
        if not party.spoofed_segments:
            lines.append("  nothing sounds spoofed")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Minutes and seconds to the tenth, with hours where there are any: ``1:02:03.4``."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    head = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


@cli.command(options=AnalyseOptions)
def main(_: Config, options: AnalyseOptions) -> int:
    """Entry point ``analyse``."""
    if len(options.input) != 1:
        raise ConfigError(f"--input: expected one recording, found {len(options.input)}")
    (source,) = options.input
    if options.hop_s < 0.05 or options.switch_cost < 0:
        raise ConfigError(f"--hop_s {options.hop_s:g} --switch_cost {options.switch_cost:g}: expected ≥ 0.05 and ≥ 0")
    given = cli.number("threshold", options.threshold)
    detector = Detector(model_folders.ModelFolder.load(model_folders.find(options.model)))
    threshold = detector.point(options.operating_point, given).threshold
    try:
        heard = listen(Path(source), detector, mix=options.channels == "mix", hop_s=options.hop_s)
    except AudioError as error:
        raise AudioError(error.kind, error.detail, source) from None
    first = 0 if options.channels == "mix" else 1
    parties = [
        Party(number, channel, channel.spoofed_segments(threshold=threshold, switch_cost=options.switch_cost))
        for number, channel in enumerate(heard, first)
    ]
    folder = Path(options.output) if options.output else _folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "model_version": detector.model.model_version,
        "window_s": detector.model.config.window.clip_s,
        "hop_s": options.hop_s,
        "threshold": threshold,
        "switch_cost": options.switch_cost,
    }
    (folder / JSON).write_text(json.dumps(as_json(source, parties, **settings)), encoding="utf-8")
    from pipeline.reporting import conversation_figure, style

    drawn = conversation_figure.timeline(parties, threshold=threshold, title=Path(source).name)
    (folder / PNG).write_bytes(style.png(drawn))
    print(table(parties))
    print(f"{folder / JSON}\n{folder / PNG}")
    return 0


def _folder(source: str) -> Path:
    return artifacts_dir() / "analyses" / f"{Path(source).stem}-{fingerprint(str(Path(source).resolve()))}"


if __name__ == "__main__":
    cli.run(main)
