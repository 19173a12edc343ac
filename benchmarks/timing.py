"""Timing by comparison: contenders take turns on the same work, so that a machine's drift meets all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable


def alternate(contenders: dict[str, Callable[[], None]], *, repetitions: int) -> dict[str, list[float]]:
    """Seconds that each contender took in each of the rounds, in every round in the same order."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(repetitions):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
            print(f"round {number + 1}/{repetitions}: {name} {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    return seconds


def table(seconds: dict[str, list[float]], *, items: int, unit: str) -> str:
    """Median, minimum and maximum of each contender, and how many items a second the median makes."""
    width = max(len(name) for name in seconds)
    lines = [f"{'':<{width}}  {'median s':>9}{'min s':>9}{'max s':>9}{unit + '/s':>11}"]
    for name, values in seconds.items():
        median = statistics.median(values)
        lines.append(f"{name:<{width}}  {median:>9.2f}{min(values):>9.2f}{max(values):>9.2f}{items / median:>11.1f}")
    return "\n".join(lines)


def ratio(slower: list[float], faster: list[float]) -> str:
    """How many times as long the first takes: median of the rounds' ratios, with the smallest and the largest."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
