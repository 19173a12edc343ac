"""Steps of an audio stream that a thread reads: the source never waits for the model.

Used by ``stream``. The scoring side takes the newest step and learns how many it missed.
"""

import threading
from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.streaming.steps import Step, Steps

CLOSE_S = 2.0
"""Time in which the reading thread must notice that the feed is closed."""


class Feed:
    """Steps of a stream of blocks.

    Parameters
    ----------
    blocks : mono float32 blocks at 16 kHz, read in a separate thread.
    window, step : samples per window, and from one step to the next.
    lossless : hold the blocks back until each step is taken, instead of skipping steps.
    """

    def __init__(self, blocks: Iterable[np.ndarray], *, window: int, step: int, lossless: bool):
        self._steps, self._lossless = Steps(window=window, step=step, lossless=lossless), lossless
        self._changed = threading.Condition()
        self._finished = self._closed = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(blocks,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading audio."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=CLOSE_S)

    def steps(self) -> Iterator[Step]:
        """Yield the newest step as soon as there is one, until the stream ends; raises the error of the stream.

        Audio behind the last whole step makes one more step.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._steps.is_waiting or self._finished)
                if not self._steps.is_waiting:
                    break
                step = self._steps.take()
                self._changed.notify_all()
            yield step
        if self._failure:
            raise self._failure

    def _read(self, blocks: Iterable[np.ndarray]) -> None:
        try:
            for block in blocks:
                self._push(block)
                if self._closed:
                    return
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._steps.end()
            self._finished = True
            self._changed.notify_all()

    def _push(self, block: np.ndarray) -> None:
        while len(block) and not self._closed:
            with self._changed:
                block = self._steps.add(block)
                if self._steps.is_waiting:
                    self._changed.notify_all()
                    if self._lossless:
                        self._changed.wait_for(lambda: self._closed or not self._steps.is_waiting)
