"""``memory_growth`` and ``cost_growth``: memory and cost of each stage at 1, 4 and 16 times the demo's size.

Each stage runs in a separate process and is timed after its start-up. Every copy of the corpus is shifted in time, so
no two recordings are equal. Memory is the peak of a stage's processes without mapped files. The costs give core-hours
and money for corpora of other sizes (docs/scale.md).
"""

import itertools
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import compared, growth_stages, memory
from benchmarks.compared import Figure, Line
from benchmarks.growth_stages import STAGES
from pipeline import cli
from pipeline.common import parallel
from pipeline.config import PROJECT_ROOT, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ProjectError

SECTIONS = ("corpus", "audio", "front_end", "augment", "model", "window", "train", "device", "decision")
AT_MOST = 1.1
"""Largest accepted ratio of cost or memory between sizes."""
FLAT = ("preprocess", "training", "scoring")
"""Stages whose memory must not grow; evaluation holds its trials in memory."""
QUICK = {"sizes": "1,2", "steps": 1}


@dataclass(frozen=True)
class Options(compared.Options):
    """Stages and sizes to measure, and sizes and price to extrapolate to."""

    sizes: str = option("1,4,16", "sizes of the corpus, as multiples of the configured one, ascending")
    only: str = option(",".join(STAGES), "stages to measure; training and evaluation read preprocess's Store")
    model: str = option("", "model folder to score with; empty: the champion that register left")
    steps: int = option(8, "training steps to time, the same number at every size")
    clips: str = option(
        "1004081,182357,680774,1e9",
        "clips to estimate core-hours and money for: ASVspoof 5, its train, its eval, and 10^9",
    )
    core_hour_price: float = option(0.05, "assumed price of a core-hour")


@dataclass
class Stage:
    """A stage at one size: its clips, and seconds and peak memory per round."""

    clips: int = 0
    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    @property
    def typical_s(self) -> float:
        return statistics.median(self.seconds)


Growth = dict[str, dict[int, Stage]]
"""Stage and size to measurements."""


def measure(config: Config, options: Options) -> Growth:
    """Run every stage at every size, in every round."""
    sizes = [int(size) for size in options.sizes.split(",")]
    found: Growth = {name: {size: Stage() for size in sizes} for name in options.only.split(",")}
    folder = artifacts_dir() / "benchmarks" / "growth" / fingerprint(config.corpus)

    def contender(name: str, size: int):
        return lambda: _run(name, folder / str(size), config, options, found[name][size])

    for size in sizes:
        growth_stages.write_corpus(config, folder / str(size), size)
    contenders = {f"{name} {size}x": contender(name, size) for name in found for size in sizes}
    compared.measured(contenders, repetitions=options.repetitions)
    return found


def lines(found: Growth) -> list[Line]:
    """Lines for the table of all benchmarks: memory against size, and cost against size."""
    sizes = list(next(iter(found.values())))
    span = f"{sizes[-1]}× the corpus"
    flat = [
        Figure(
            f"× memory of {name}", compared.ratios(by_size[sizes[-1]].peak_mb, by_size[sizes[0]].peak_mb), target, True
        )
        for name, by_size in found.items()
        for target in [AT_MOST if name in FLAT else None]
    ]
    linear = [
        Figure(f"× cost of {name}", _linearity(list(by_size.values())), AT_MOST, True)
        for name, by_size in found.items()
    ]
    every = {f"{name} {size}x": stage for name, by_size in found.items() for size, stage in by_size.items()}
    peaks = {name: stage.peak_mb for name, stage in every.items()}
    seconds = {name: stage.seconds for name, stage in every.items()}
    note = ", ".join(f"{name}: {stage.clips} clips" for name, stage in every.items())
    first_step = f"towards {sizes[min(1, len(sizes) - 1)]}×"
    return [
        Line("memory_growth", f"peak memory at {span}", f"{sizes[0]}×", flat, peaks, "MB", note),
        Line("cost_growth", f"seconds of a further clip towards {span}", first_step, linear, seconds, "s", note),
    ]


def further_cost_s(stages: list[Stage], turn: int | None = None) -> list[float]:
    """Seconds per further clip between one size and the next, in one round or by the medians.

    If every size times the same number of clips (steps of training), seconds per clip at each size.
    """
    seconds = [stage.typical_s if turn is None else stage.seconds[turn] for stage in stages]
    clips = [stage.clips for stage in stages]
    if len(set(clips)) == 1:
        return [s / c for s, c in zip(seconds, clips, strict=True)]
    return [(s2 - s1) / (c2 - c1) for (s1, c1), (s2, c2) in itertools.pairwise(zip(seconds, clips, strict=True))]


def table(found: Growth) -> str:
    """Table of time, cost per clip and memory of every stage at every size, by the medians."""
    rows = [f"{'stage':<12}{'size':>6}{'clips':>9}{'s':>10}{'ms per clip':>13}{'ms per further':>16}{'peak MB':>9}"]
    for name, by_size in found.items():
        further = further_cost_s(list(by_size.values()))
        further = [None] * (len(by_size) - len(further)) + further
        for (size, stage), cost in zip(by_size.items(), further, strict=True):
            shown = "" if cost is None else f"{1000 * cost:.3f}"
            rows.append(
                f"{name:<12}{size:>5}x{stage.clips:>9}{stage.typical_s:>10.2f}"
                f"{1000 * stage.typical_s / stage.clips:>13.3f}{shown:>16}{statistics.median(stage.peak_mb):>9.0f}"
            )
    return "\n".join(rows)


def estimate(found: Growth, clips: list[float], core_hour_price: float) -> str:
    """Table of core-hours (clips × seconds per further clip × cores / 3600) and of money (core-hours × price)."""
    rows = [f"{'stage':<12}{'clips':>12}{'core-hours':>14}{'money':>12}  at {core_hour_price:g} a core-hour"]
    for name, by_size in found.items():
        for count in clips:
            hours = count * further_cost_s(list(by_size.values()))[-1] * parallel.cores() / 3600
            rows.append(f"{name:<12}{count:>12.8g}{hours:>14.2f}{hours * core_hour_price:>12.2f}")
    return "\n".join(rows)


def _run(name: str, folder: Path, config: Config, options: Options, stage: Stage) -> float:
    model = str(Path(options.model).resolve()) if options.model else ""
    settings = {"stage": name, "folder": str(folder), "model": model, "steps": options.steps}
    request = json.dumps(settings | {"config": config.flat()})
    command = [sys.executable, "-m", "benchmarks.growth_stages", request]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE)
    with memory.watched(process.pid) as peak:
        answer, _ = process.communicate()
    if process.returncode:
        raise ProjectError(f"{name} failed at {folder}")
    measured = json.loads(answer.splitlines()[-1])
    stage.clips = measured["clips"]
    stage.seconds.append(measured["seconds"])
    stage.peak_mb.append(peak.bytes / 1e6)
    return measured["seconds"]


def _linearity(stages: list[Stage]) -> list[float]:
    """Ratio of the costs per further clip at the largest and at the smallest sizes, per round."""
    costs = [further_cost_s(stages, turn) for turn in range(len(stages[0].seconds))]
    return compared.ratios([cost[-1] for cost in costs], [cost[0] for cost in costs])


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark, and print its tables and lines."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    found = measure(config, options)
    print(f"{parallel.cores()} cores, corpus {config.corpus.corpus}\n{table(found)}\n")
    print(estimate(found, [float(count) for count in options.clips.split(",")], options.core_hour_price) + "\n")
    return compared.finish(lines(found), options)


if __name__ == "__main__":
    cli.run(main)
