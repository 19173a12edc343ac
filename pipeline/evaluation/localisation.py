"""How well a model locates the spoofed segments of a subset's recordings, if the Store knows where they are.

Recordings that are spoofed as a whole are left out: there is nothing to locate in them.
"""

from collections.abc import Iterator

from pipeline.common.progress import track
from pipeline.config import BONAFIDE
from pipeline.metrics.localisation import Segments, Timeline, located, range_eer, segment_eer
from pipeline.scoring import spoofed_segments
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store

RESOLUTIONS_S = (0.32, 0.64)
"""The two coarsest of PartialSpoof's resolutions."""


def measure(model: ModelFolder, store: Store, subset: str) -> dict[str, float]:
    """Figures by name; none without bonafide time or without recordings that list segments."""
    rows = [row for row in store.subset(subset) if store.segments(row) or _bonafide(store, row)]
    if not any(map(store.segments, rows)):
        return {}
    timelines, counted = [], []
    for timeline, found in track(_scored(model, store, rows), total=len(rows), what=f"locate {subset}"):
        timelines.append(timeline)
        counted.append((found, timeline.spoofed, float(timeline.edges_s[-1])))
    counts = located(counted)
    return {
        "range_eer": range_eer(timelines),
        **{f"segment_eer_{resolution_s:g}": segment_eer(timelines, resolution_s) for resolution_s in RESOLUTIONS_S},
        "located_recall": counts.recall,
        "false_segments_per_hour": counts.false_per_hour,
    }


def _bonafide(store: Store, row: int) -> bool:
    return store.manifest["label"].iat[row] == BONAFIDE


def _scored(model: ModelFolder, store: Store, rows: list[int]) -> Iterator[tuple[Timeline, Segments]]:
    """Scores over time of each row, and the segments found at the model's operating point."""
    detector, threshold = Detector(model), model.point().segment_threshold
    hop_s = spoofed_segments.HOP_WINDOWS * model.config.window.clip_s
    for row in rows:
        scored = detector.score_windows(store.waveform(row), hop_s=hop_s, found=store.speech(row))
        times_s, scores = scored.times_s[scored.located], scored.scores[scored.located]
        edges_s = spoofed_segments.edges(times_s, 0.0, scored.duration_s)
        found = scored.spoofed_segments(threshold=threshold)
        yield Timeline(edges_s, scores, store.segments(row)), [(one.start_s, one.end_s) for one in found]
