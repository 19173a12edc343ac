"""Scoring on all cores: processes that each hold a detector, fed in order, a bounded way ahead of what is read."""

import itertools
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from pipeline.common import orphans
from pipeline.errors import ProjectError
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.detector import Detector, Row, cores
from pipeline.scoring.model_folders import ModelFolder

FEW_RECORDINGS = 8
"""Up to so many are scored before other processes would have started."""
AHEAD = 8
"""Recordings a process that wait for it or for their turn to be read."""


def rows(model: ModelFolder, paths: Sequence[str], point: OperatingPoint, processes: int = 0) -> Iterator[Row]:
    """The row of each recording, in order.

    Parameters
    ----------
    processes : how many score at once; 0: one for each core that this process may use, but this process alone where
        there are few recordings.

    Raises ``ProjectError`` where a process dies, as for want of memory.
    """
    size = processes or (cores() if len(paths) > FEW_RECORDINGS else 1)
    if size == 1:
        detector = Detector(model)
        for path in paths:
            yield detector.rows(path, path, point=point)[0]
        return
    # Not forked: the parent's interpreter and BLAS threads would not be there in the child.
    context = multiprocessing.get_context("spawn")
    remaining = iter(paths)
    with ProcessPoolExecutor(size, context, _begin, (model, point)) as pool:
        waiting = deque((path, pool.submit(_score, path)) for path in itertools.islice(remaining, AHEAD * size))
        try:
            while waiting:
                row = waiting[0][1].result()
                waiting.popleft()
                waiting.extend((path, pool.submit(_score, path)) for path in itertools.islice(remaining, 1))
                yield row
        except BrokenProcessPool:
            near = ", ".join(path for path, _ in itertools.islice(waiting, size))
            raise ProjectError(
                f"a process died while it scored one of {near} or the recordings after it, perhaps for want of memory; "
                "what was written is kept, and the same command goes on; --processes 1 needs the least"
            ) from None
        finally:
            # Where the reader stopped early, what was not begun need not be.
            pool.shutdown(wait=False, cancel_futures=True)


_detector: Detector
_point: OperatingPoint


def _begin(model: ModelFolder, point: OperatingPoint) -> None:
    global _detector, _point
    orphans.end_with_parent()
    _detector, _point = Detector(model, threads=1), point


def _score(path: str) -> Row:
    return _detector.rows(path, path, point=_point)[0]
