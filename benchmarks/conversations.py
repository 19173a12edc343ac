"""Locating spoofed speech in calls: the two-state path of ``spoofed_segments`` against plain thresholds.

Calls are spliced from a Store (``pipeline.evaluation.calls``). A found segment is right if it begins and ends within a
second of a true one. Both methods sweep the threshold, which gives precision over recall. Dev calls choose
the cost of a switch, the threshold of the best F1, and that of the best recall at ``FALSE_PER_HOUR``; eval calls are
reported. Scored calls are kept, so a stopped run resumes.
"""

import argparse
from pathlib import Path

import numpy as np

from pipeline import preprocess
from pipeline.config import preset
from pipeline.evaluation import segment_threshold
from pipeline.evaluation.segment_threshold import Found, Point, at_false_per_hour, curve, measure, smoothed
from pipeline.metrics.localisation import Located
from pipeline.scoring import model_folders, spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.store.store import Store

FALSE_PER_HOUR = 10.0
"""False segments per hour that the last two columns allow on dev."""
SWITCH_COSTS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


def plain(scored: ScoredWindows, threshold: float) -> Found:
    """Runs of windows whose score lies below the threshold, each window by itself."""
    times_s = scored.times_s[scored.located]
    edges_s = np.concatenate([[0.0], (times_s[1:] + times_s[:-1]) / 2, [scored.duration_s]])
    low = ((scored.scores < threshold) & scored.spoken)[scored.located]
    return [(float(edges_s[first]), float(edges_s[last + 1])) for first, last in spoofed_segments.runs(low)]


def average_precision(points: list[Point]) -> float:
    """Area under precision over recall; precision is the best at that recall or a higher one."""
    area, reached = 0.0, 0.0
    for found in sorted((point.located for point in points), key=lambda found: found.recall):
        best = max(p.located.precision for p in points if p.located.recall >= found.recall)
        area += (found.recall - reached) * best
        reached = max(reached, found.recall)
    return area


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
        subset: segment_threshold.score_calls(
            detector, store, store.subset(subset), calls=options.calls, hop_s=options.hop_s, seed=options.seed
        )
        for subset in ("dev", "eval")
    }
    thresholds = segment_threshold.thresholds(scored["dev"])
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
    own = detector.model.point().segment_threshold
    found = measure(scored["eval"], smoothed(spoofed_segments.SWITCH_COST), own).located
    print(
        f"analyse, c = {spoofed_segments.SWITCH_COST:g}, the model's threshold {own:.2f}: precision "
        f"{found.precision:.3f}, recall {found.recall:.3f}, {found.false_per_hour:.1f} false/h"
    )


if __name__ == "__main__":
    main()
