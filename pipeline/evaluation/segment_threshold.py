"""Threshold for spoofed segments, chosen on calls: operating points are chosen on whole recordings.

A found segment is right if it begins and ends within a second of a true one (``metrics.localisation``). Among the
thresholds with at most a given number of false segments per hour, the one of the best recall is chosen. ``calibrate``
stores it in the model folder; ``benchmarks.conversations`` measures such a choice on other calls.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.audio import speech
from pipeline.common import files
from pipeline.common.progress import track
from pipeline.config import artifacts_dir, fingerprint
from pipeline.errors import ConfigError
from pipeline.evaluation import calls as spliced
from pipeline.metrics.localisation import Located, SegmentPoint, located
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.scoring.spoofed_segments import HOP_WINDOWS, SWITCH_COST
from pipeline.store.store import Store

VERSION = 1
"""Raise it when a change gives other windows or logits of the same calls."""
CALLS = 42
"""Calls of a minute, of which 32 have a spoofed segment."""
Found = list[tuple[float, float]]
Locate = Callable[[ScoredWindows, float], Found]
Scored = list[tuple[ScoredWindows, tuple[float, float] | None]]
"""Windows of each call, and its spoofed segment, if it has one."""


@dataclass(frozen=True)
class Point:
    """Counts of the located segments at one threshold."""

    threshold: float
    located: Located


def score_calls(
    detector: Detector, store: Store, rows: np.ndarray, *, calls: int = CALLS, hop_s: float = 0.0, seed: int = 0
) -> Scored:
    """Scored windows of calls spliced from rows of a Store, each with its truth.

    ``hop_s`` is the distance between windows; 0: ``HOP_WINDOWS``. Logits are kept under ``artifacts/calls/``, so the
    same calls are scored once, and a stopped run resumes.
    """
    model = detector.model
    hop_s = hop_s or HOP_WINDOWS * model.config.window.clip_s
    drawn = store.fingerprint, rows.tolist(), hop_s, seed
    folder = artifacts_dir() / "calls"
    folder /= fingerprint(VERSION, model.sha256[model_folders.LITERT], model.config.window, *drawn)
    folder.mkdir(parents=True, exist_ok=True)
    scored = []
    made = spliced.splice(store, rows, calls=calls, seed=seed)
    for number, call in enumerate(track(made, total=calls, what="score calls", unit="call")):
        path, found = folder / f"{number:04d}.npy", speech.find(call.wave)
        plan = detector.plan(found, hop_s=hop_s)
        if not path.is_file():
            logits = detector.window_logits(detector.cut(call.wave[: found.end], plan.starts))
            with files.whole_file(path, shared=True) as unfinished, unfinished.open("wb") as file:
                np.save(file, logits)
        scored.append((detector.scored(len(call.wave), found, plan, np.load(path)), call.spoof_s))
    return scored


def choose(scored: Scored, most: float) -> SegmentPoint:
    """Threshold of at most ``most`` false segments per hour of these calls; raises ``ConfigError``."""
    points = curve(scored, smoothed(SWITCH_COST), thresholds(scored))
    best = at_false_per_hour(points, most)
    if best.located.right:
        return SegmentPoint(best.threshold, best.located.recall, best.located.false_per_hour)
    rates = [point.located.false_per_hour for point in points if point.located.right]
    remedy = f"give {np.ceil(min(rates)):g} or more" if rates else "nor does any threshold, so this model locates none"
    raise ConfigError(
        f"--segments {most:g}: with so few false segments per hour none of {best.located.true} true ones is located; "
        f"{remedy}"
    )


def thresholds(scored: Scored) -> np.ndarray:
    """Thresholds to try: percentiles of the scores of all windows, ``[101]``."""
    return np.quantile(np.concatenate([windows.scores for windows, _ in scored]), np.linspace(0, 1, 101))


def smoothed(switch_cost: float) -> Locate:
    """The method of ``analyse``, with this cost per switch."""
    return lambda scored, threshold: [
        (found.start_s, found.end_s) for found in scored.spoofed_segments(threshold=threshold, switch_cost=switch_cost)
    ]


def measure(scored: Scored, locate: Locate, threshold: float) -> Point:
    """Count the segments that a method finds in all calls."""
    each = ((locate(windows, threshold), [truth] if truth else [], windows.duration_s) for windows, truth in scored)
    return Point(threshold, located(each))


def curve(scored: Scored, locate: Locate, thresholds: Iterable[float]) -> list[Point]:
    """One point per threshold."""
    return [measure(scored, locate, float(threshold)) for threshold in thresholds]


def at_false_per_hour(points: list[Point], most: float) -> Point:
    """The point of the best recall of those with at most so many false segments; without one, that of the fewest."""
    allowed = [point for point in points if point.located.false_per_hour <= most]
    if not allowed:
        return min(points, key=lambda point: point.located.false_per_hour)
    return max(allowed, key=lambda point: (point.located.recall, -point.located.false_per_hour))
