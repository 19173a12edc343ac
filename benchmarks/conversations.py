"""Locating spoofed speech in calls: the two-state path of ``spoofed_segments`` against plain thresholds.

Calls are spliced from a Store's speakers (see ``calls``). A found segment is right if it begins and ends within a
second of a true one. Both methods sweep the threshold, which gives precision over recall. Dev calls choose the cost of
a switch and the threshold of each method's single point; eval calls are reported.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import calls
from pipeline import preprocess
from pipeline.config import preset
from pipeline.scoring import model_folders, parties, spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.store.store import Store

TOLERANCE_S = 1.0
RECALL = 0.8
SWITCH_COSTS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
Found = list[tuple[float, float]]
Locate = Callable[[ScoredWindows, float], Found]
Scored = list[tuple[ScoredWindows, tuple[float, float] | None]]


@dataclass(frozen=True)
class Point:
    """Accuracy of the located segments at one threshold."""

    threshold: float
    right: int
    found: int
    true: int
    false_per_hour: float

    @property
    def precision(self) -> float:
        """Share of the found segments that are right; 1 if none was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true segments that were found."""
        return self.right / max(self.true, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(self.found + self.true, 1)


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
    right = found = true = 0
    for windows, truth in scored:
        located = locate(windows, threshold)
        found += len(located)
        if truth:
            true += 1
            right += any(all(abs(a - b) <= TOLERANCE_S for a, b in zip(one, truth, strict=True)) for one in located)
    hours = sum(windows.duration_s for windows, _ in scored) / 3600
    return Point(threshold, right, found, true, (found - right) / hours)


def curve(scored: Scored, locate: Locate, thresholds: Iterable[float]) -> list[Point]:
    """One point per threshold."""
    return [measure(scored, locate, float(threshold)) for threshold in thresholds]


def average_precision(points: list[Point]) -> float:
    """Area under precision over recall; precision is the best at that recall or a higher one."""
    area, reached = 0.0, 0.0
    for point in sorted(points, key=lambda p: p.recall):
        best = max(p.precision for p in points if p.recall >= point.recall)
        area += (point.recall - reached) * best
        reached = max(reached, point.recall)
    return area


def at_recall(points: list[Point], recall: float) -> Point | None:
    """The point with the fewest false segments of those that reach the recall."""
    enough = [point for point in points if point.recall >= recall]
    return min(enough, key=lambda point: point.false_per_hour) if enough else None


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


def line(name: str, points: list[Point], chosen: Point) -> str:
    """A method's row of the table: the whole curve, the threshold chosen on dev, and false segments at the recall."""
    enough = at_recall(points, RECALL)
    false_per_hour = f"{enough.false_per_hour:.1f}" if enough else f"- (≤ {max(p.recall for p in points):.2f})"
    return (
        f"{name:<24}{average_precision(points):>8.3f}{max(p.f1 for p in points):>9.3f}{chosen.precision:>11.3f}"
        f"{chosen.recall:>8.3f}{chosen.f1:>8.3f}{chosen.false_per_hour:>10.1f}{false_per_hour:>16}"
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
    print(f"{'':<24}{'':>8}{'':>9}{'at the threshold chosen on dev':>37}{'false/h at':>16}")
    print(
        f"{'':<24}{'AP':>8}{'best F1':>9}{'precision':>11}{'recall':>8}{'F1':>8}{'false/h':>10}"
        f"{f'{100 * RECALL:.0f} % recall':>16}"
    )
    for name, locate, dev_points in (
        ("plain thresholds", plain, curve(scored["dev"], plain, thresholds)),
        (f"two-state path, c = {best:g}", smoothed(best), on_dev[best]),
    ):
        chosen = max(dev_points, key=lambda point: point.f1).threshold
        print(line(name, curve(scored["eval"], locate, thresholds), measure(scored["eval"], locate, chosen)))


if __name__ == "__main__":
    main()
