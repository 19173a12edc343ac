"""Locating spoofed speech in calls: the two-state path of ``spoofed_segments`` against plain thresholds.

Calls are spliced from a Store's speakers (see ``calls``). A found segment is right if it begins and ends within a
second of a true one. Both methods sweep the threshold, which gives precision over recall. Dev calls choose the cost of
a switch, the threshold of the best F1, and that of the best recall at ``FALSE_PER_HOUR``; eval calls are reported.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import calls
from pipeline import preprocess
from pipeline.config import preset
from pipeline.metrics.localisation import Located, located
from pipeline.scoring import model_folders, parties, spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.store.store import Store

FALSE_PER_HOUR = 10.0
"""False segments per hour that the last two columns allow on dev."""
SWITCH_COSTS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
Found = list[tuple[float, float]]
Locate = Callable[[ScoredWindows, float], Found]
Scored = list[tuple[ScoredWindows, tuple[float, float] | None]]


@dataclass(frozen=True)
class Point:
    """Counts of the located segments at one threshold."""

    threshold: float
    located: Located


def plain(scored: ScoredWindows, threshold: float) -> Found:
    """Runs of windows whose score lies below the threshold, each window by itself."""
    times_s = scored.times_s[scored.located]
    edges_s = np.concatenate([[0.0], (times_s[1:] + times_s[:-1]) / 2, [scored.duration_s]])
    low = ((scored.scores < threshold) & scored.spoken)[scored.located]
    return [(float(edges_s[first]), float(edges_s[last + 1])) for first, last in spoofed_segments.runs(low)]


def smoothed(switch_cost: float) -> Locate:
    """The method of ``analyse``, with this cost per switch."""
    return lambda scored, threshold: [
        (found.start_s, found.end_s) for found in scored.spoofed_segments(threshold=threshold, switch_cost=switch_cost)
    ]


def measure(scored: Scored, locate: Locate, threshold: float) -> Point:
    """Count the segments that a method finds in all calls."""
    calls_ = ((locate(windows, threshold), [truth] if truth else [], windows.duration_s) for windows, truth in scored)
    return Point(threshold, located(calls_))


def curve(scored: Scored, locate: Locate, thresholds: Iterable[float]) -> list[Point]:
    """One point per threshold."""
    return [measure(scored, locate, float(threshold)) for threshold in thresholds]


def average_precision(points: list[Point]) -> float:
    """Area under precision over recall; precision is the best at that recall or a higher one."""
    area, reached = 0.0, 0.0
    for found in sorted((point.located for point in points), key=lambda found: found.recall):
        best = max(p.located.precision for p in points if p.located.recall >= found.recall)
        area += (found.recall - reached) * best
        reached = max(reached, found.recall)
    return area


def at_false_per_hour(points: list[Point], most: float) -> Point:
    """The point of the best recall of those with at most so many false segments; without one, that of the fewest."""
    allowed = [point for point in points if point.located.false_per_hour <= most]
    if not allowed:
        return min(points, key=lambda point: point.located.false_per_hour)
    return max(allowed, key=lambda point: (point.located.recall, -point.located.false_per_hour))


def score_calls(store: Store, subset: str, detector: Detector, *, count: int, hop_s: float, seed: int) -> Scored:
    """Scored windows of calls of a subset, each with its truth."""
    scored = []
    for call in calls.splice(store, subset, calls=count, seed=seed):
        wave = call.wave[:, None]
        (party,) = parties.find(
            lambda wave=wave: [wave], detector, mixed=True, point=detector.model.point(), hop_s=hop_s
        )
        scored.append((party.scored, call.spoof_s))
    return scored


def line(name: str, points: list[Point], best: Located, allowed: Located) -> str:
    """A method's row of the table: the whole curve, then the two thresholds chosen on dev."""
    return (
        f"{name:<24}{average_precision(points):>8.3f}{max(p.located.f1 for p in points):>9.3f}{best.precision:>11.3f}"
        f"{best.recall:>8.3f}{best.f1:>8.3f}{best.false_per_hour:>10.1f}{allowed.recall:>10.3f}"
        f"{allowed.false_per_hour:>10.1f}"
    )


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="", help="model folder (default: the champion)")
    parser.add_argument("--store", default="", help="folder of the Store (default: that of the demo corpus)")
    parser.add_argument("--calls", type=int, default=56, help="calls of each subset (default: %(default)s)")
    parser.add_argument("--hop_s", type=float, default=0.5, help="seconds between windows (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the splicing (default: %(default)s)")
    options = parser.parse_args()
    detector = Detector(model_folders.ModelFolder.load(model_folders.find(options.model)))
    store = Store.open(Path(options.store) if options.store else preprocess.ensure(preset("demo")))
    scored = {
        subset: score_calls(store, subset, detector, count=options.calls, hop_s=options.hop_s, seed=options.seed)
        for subset in ("dev", "eval")
    }
    thresholds = np.quantile(np.concatenate([timeline.scores for timeline, _ in scored["dev"]]), np.linspace(0, 1, 101))
    on_dev = {cost: curve(scored["dev"], smoothed(cost), thresholds) for cost in SWITCH_COSTS}
    for cost, points in on_dev.items():
        print(f"dev, switch cost {cost:g}: average precision {average_precision(points):.3f}")
    best = max(SWITCH_COSTS, key=lambda cost: average_precision(on_dev[cost]))
    minutes = sum(windows.duration_s for windows, _ in scored["eval"]) / 60
    truths = sum(truth is not None for _, truth in scored["eval"])
    version = detector.model.model_version
    print(f"\n{version}: {options.calls} eval calls, {minutes:.0f} minutes, {truths} of them with 10 s of spoof")
    print(f"{'':<41}{'best F1 on dev':>37}{f'at most {FALSE_PER_HOUR:g}/h on dev':>20}")
    print(
        f"{'':<24}{'AP':>8}{'best F1':>9}{'precision':>11}{'recall':>8}{'F1':>8}{'false/h':>10}{'recall':>10}"
        f"{'false/h':>10}"
    )
    for name, locate, dev_points in (
        ("plain thresholds", plain, curve(scored["dev"], plain, thresholds)),
        (f"two-state path, c = {best:g}", smoothed(best), on_dev[best]),
    ):
        chosen = max(dev_points, key=lambda point: point.located.f1), at_false_per_hour(dev_points, FALSE_PER_HOUR)
        on_eval = [measure(scored["eval"], locate, point.threshold).located for point in chosen]
        print(line(name, curve(scored["eval"], locate, thresholds), *on_eval))
        print(f"{'':<24}thresholds {chosen[0].threshold:.2f} and {chosen[1].threshold:.2f}")


if __name__ == "__main__":
    main()
