"""Measuring by comparison: contenders take turns on the same work, so the machine's drift affects all of them alike.

A benchmark returns ``Line``s: measured figures with their targets. The printed text, the JSON that ``benchmarks.run``
keeps and the table of all benchmarks come from these lines.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import cli
from pipeline.common import files
from pipeline.config import Config, option


@dataclass(frozen=True)
class Options:
    """Options of every benchmark."""

    repetitions: int = option(3, "rounds in which the contenders take turns")
    quick: bool = option(False, "the smallest size that runs every step: shows that it works, measures nothing")
    json: str = option("", "file to write the measured lines to; empty: none")


@dataclass(frozen=True)
class Figure:
    """One measured figure: a value per round, and the target of their median.

    ``name`` is the unit in words (``× the notebook's loop``, ``s from a model folder``). A figure without a target is
    only reported. ``limits`` are the values per round that the part named ``limited_by`` would reach alone.
    """

    name: str
    values: Sequence[float]
    target: float | None = None
    at_most: bool = False
    limits: Sequence[float] = field(default_factory=list)
    limited_by: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median reaches the target; true without one."""
        return self.target is None or (self.median <= self.target if self.at_most else self.median >= self.target)

    @property
    def measured(self) -> str:
        """Median, and minimum to maximum."""
        return f"{number(self.median)} ({number(min(self.values))} to {number(max(self.values))}) {self.name}"

    @property
    def wanted(self) -> str:
        """The target."""
        return "-" if self.target is None else f"{'≤' if self.at_most else '≥'} {self.target:g}"

    @property
    def limit(self) -> str:
        """Median of the limits, and what sets them."""
        return f"{number(statistics.median(self.limits))}, {self.limited_by}" if self.limits else "-"


@dataclass(frozen=True)
class Line:
    """A row of the table: the two sides compared, the figures, and the measurements of each contender.

    ``taken`` holds a value in ``unit`` per contender and round; ``note`` names the data and the machine's cores.
    """

    name: str
    what: str
    against: str
    figures: Sequence[Figure]
    taken: dict[str, list[float]] = field(default_factory=dict)
    unit: str = "s"
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether every target is reached."""
        return all(figure.met for figure in self.figures)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Line":
        """Build a line from the output of ``dataclasses.asdict``."""
        return cls(**values | {"figures": [Figure(**figure) for figure in values["figures"]]})


def alternate(contenders: dict[str, Callable[[], object]], *, repetitions: int) -> dict[str, list[float]]:
    """Time each contender in each round, in seconds.

    The order reverses from one round to the next, so no contender always follows the same one.
    """
    return measured({name: _timed(work) for name, work in contenders.items()}, repetitions=repetitions)


def measured(
    contenders: dict[str, Callable[[], float]], *, repetitions: int, unit: str = "s"
) -> dict[str, list[float]]:
    """Collect the value that each contender returns, in ``unit``, per round; the order is that of ``alternate``."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repetitions):
        names = list(contenders)
        for name in names if turn % 2 == 0 else names[::-1]:
            found[name].append(contenders[name]())
            print(f"round {turn + 1}/{repetitions}: {name} {found[name][-1]:.3f} {unit}", file=sys.stderr, flush=True)
    return found


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    """Divide the one by the other, round by round."""
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def number(value: float) -> str:
    """Format with three digits and no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def parse(
    description: str, options: type[Options], *, quick: dict[str, object], sections: Sequence[str] = (), argv=None
) -> tuple[Config, Any]:
    """Parse a benchmark's command line; ``quick`` holds the options that ``--quick`` sets."""
    config, given, _ = cli.parse(description.split("\n\n")[0], sections=sections, options=options, argv=argv)
    return config, dataclasses.replace(given, **{"repetitions": 1, **quick}) if given.quick else given


def finish(lines: Sequence[Line], options: Options) -> int:
    """Print the lines and write them to the file that ``--json`` names; returns the exit status, 1 for a miss."""
    print("\n\n".join(text(line) for line in lines))
    if options.json:
        place = Path(options.json)
        files.write_json(place, [dataclasses.asdict(line) for line in lines])
    return 0 if options.quick or all(line.met for line in lines) else 1


def text(line: Line) -> str:
    """Format a line for the terminal: its figures with their targets, then the measurements of each contender."""
    width = max([len(name) for name in line.taken] + [1])
    rows = [f"{line.name}: {line.what}, against {line.against}", f"   {line.note}"]
    rows += [
        f"   {figure.measured}, target {figure.wanted}: {verdict(figure)}"
        + (f" (limit {figure.limit})" if figure.limits else "")
        for figure in line.figures
    ]
    rows += [
        f"   {name:<{width}}  {number(statistics.median(values)):>7} {line.unit}"
        f" ({number(min(values))} to {number(max(values))})"
        for name, values in line.taken.items()
    ]
    return "\n".join(row for row in rows if row.strip())


def verdict(figure: Figure) -> str:
    """One word: whether the target is reached."""
    return "-" if figure.target is None else "pass" if figure.met else "miss"


def table(lines: Sequence[Line]) -> str:
    """Markdown table of the lines with their figures, then one of the measurements of each contender."""
    rows = ["| name | what | against | median (min to max) | target | | limit |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        cells = [
            "<br>".join(part(figure) for figure in line.figures)
            for part in (lambda f: f.measured, lambda f: f.wanted, verdict, lambda f: f.limit)
        ]
        rows.append(f"| `{line.name}` | {line.what} | {line.against} | {' | '.join(cells)} |")
    rows += ["", "| name | contender | median (min to max) | on |", "|---|---|---|---|"]
    for line in lines:
        for place, (name, values) in enumerate(line.taken.items()):
            shown = f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))}) {line.unit}"
            rows.append(f"| `{line.name}` | {name} | {shown} | {line.note if place == 0 else ''} |")
    return "\n".join(rows)
