"""Summarise the latency of servers from the JSON lines that they log.

``mlflow models serve`` writes the lines to the file that SPOOF_SERVE_LOG names, by default to standard error.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli
from pipeline.config import Config, option
from pipeline.errors import ConfigError
from pipeline.serving.latency_log import PERCENTILES, middle_ms, spread

SHOWN = {"request_ms": "request", "clip_ms": "clip"}


@dataclass(frozen=True)
class LatencyOptions:
    """Lines to summarise."""

    input: tuple[str, ...] = option((), "files with the lines of servers")


def summarise(lines: Sequence[dict]) -> dict[str, object]:
    """Sum of the lines of one or several processes; percentiles are accurate to half a class of time (2.3 %).

    The rate of a process is over the time that its lines cover; rates of several processes are added.
    """
    total: dict[str, object] = {"processes": len({line["pid"] for line in lines})}
    total |= {name: sum(line[name] for line in lines) for name in ("requests", "refused", "clips", "failed")}
    total |= {"clips_per_s": _rate(lines, "clips"), "audio_s_per_s": _rate(lines, "audio_s")}
    for name in SHOWN:
        counted = [line[name] for line in lines if name in line]
        if counted:
            counts = Counter({})
            for one in counted:
                counts.update({int(number): count for number, count in one["counts"].items()})
            middles = [middle_ms(number) for number in sorted(counts.elements())]
            total[name] = spread(middles) | {"max": max(one["max"] for one in counted)}
    return total


def table(summary: dict[str, object]) -> str:
    """The summary as lines."""
    processes = f"{summary['processes']} process{'es' if summary['processes'] != 1 else ''}"
    lines = [
        f"{summary['requests']} requests, {summary['refused']} of them refused, by {processes}",
        f"{summary['clips']} clips, {summary['failed']} of them without a score",
        f"{summary['clips_per_s']:.1f} clips per second, {summary['audio_s_per_s']:.1f} s of audio per second",
        f"{'ms':<10}" + "".join(f"{name:>9}" for name in (*(f"p{percent}" for percent in PERCENTILES), "max")),
    ]
    for name, shown in SHOWN.items():
        if name in summary:
            lines.append(f"{shown:<10}" + "".join(f"{value:>9.1f}" for value in summary[name].values()))
    return "\n".join(lines)


def read(path: Path) -> list[dict]:
    """Latency lines of a file; other lines are skipped."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"time": ') and line.endswith("}")]


def _rate(lines: Sequence[dict], amount: str) -> float:
    amounts, seconds = Counter(), Counter()
    for line in lines:
        amounts[line["pid"]] += line[amount]
        seconds[line["pid"]] += line["seconds"]
    return sum(amounts[pid] / seconds[pid] for pid in seconds)


@cli.command(options=LatencyOptions)
def main(_: Config, options: LatencyOptions) -> int:
    """Print the summary of the lines in all files."""
    lines = {name: read(Path(name)) for name in options.input}
    empty = [name for name in lines if not lines[name]]
    if empty or not lines:
        named = ", ".join(empty) or "--input"
        raise ConfigError(f"no latency lines in {named}: name the file that SPOOF_SERVE_LOG gave to the server")
    print(table(summarise([line for found in lines.values() for line in found])))
    return 0


if __name__ == "__main__":
    cli.run(main)
