"""Scoring on all cores, one detector per process; rows come in the order of the recordings."""

from collections.abc import Iterator, Sequence

from pipeline.audio import WHOLE, Span
from pipeline.common import parallel
from pipeline.common.parallel import AHEAD, WorkerDiedError
from pipeline.errors import ProjectError
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row

FEW_RECORDINGS = 8
"""Recordings that one process scores in the time that others need to start."""


def rows(
    model: ModelFolder, paths: Sequence[str], point: OperatingPoint, processes: int = 0, span: Span = WHOLE
) -> Iterator[Row]:
    """The row of each recording, in order.

    Parameters
    ----------
    processes : processes that score at once; 0: one per core, or only this process for a few recordings.
    span : part of each recording to score.

    Raises ``ProjectError`` if a process dies, for example of lack of memory.
    """
    size = processes or (parallel.cores() if len(paths) > FEW_RECORDINGS else 1)
    if size == 1:
        detector = Detector(model)
        for path in paths:
            yield detector.row(path, path, point, span=span)
        return
    try:
        yield from parallel.in_order(
            parallel.workers(size, _begin, model, point, span), _score, paths, ahead=AHEAD * size
        )
    except WorkerDiedError as error:
        raise ProjectError(
            f"a process died at or after one of {', '.join(error.waiting[:size])}, perhaps of lack of memory; rows "
            "written so far are kept and the same command resumes; --processes 1 needs the least memory"
        ) from None


_detector: Detector
_point: OperatingPoint
_span: Span


def _begin(model: ModelFolder, point: OperatingPoint, span: Span) -> None:
    global _detector, _point, _span
    _detector, _point, _span = Detector(model, threads=1), point, span


def _score(path: str) -> Row:
    return _detector.row(path, path, _point, span=_span)
