"""Detectors of one model for the threads of a server."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.common import parallel
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder


class Pool:
    """Detectors of one model for many threads: a thread borrows one, or waits for one.

    Parameters
    ----------
    size : number of detectors; 0 makes one for each core that this process may use. Each has one thread, which
        scores more recordings per second than one detector with many threads.
    """

    def __init__(self, model: ModelFolder, size: int = 0):
        self.model = model
        self.size = size or parallel.cores()
        self._free: queue.LifoQueue[Detector] = queue.LifoQueue()
        for _ in range(self.size):
            self._free.put(Detector(model, threads=1))

    @contextmanager
    def detector(self) -> Iterator[Detector]:
        """A detector for the duration of the block."""
        lent = self._free.get()
        try:
            yield lent
        finally:
            self._free.put(lent)
