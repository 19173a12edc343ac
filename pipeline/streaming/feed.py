"""Steps of an audio stream: the last seconds of audio at regular times, ready to be scored.

Used by ``stream``. A thread reads the audio, so that the source never waits for the model. The scoring side takes the
newest step and learns how many it missed. Memory holds only the last seconds.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

CLOSE_S = 2.0
"""Time in which the reading thread must notice that the feed is closed."""


@dataclass(frozen=True)
class Step:
    """Audio of one step: ``window`` is the last audio up to ``end``, ``fresh`` the audio since the last step.

    ``end`` counts samples from the beginning of the stream. ``dropped`` steps were skipped before this one; ``gap``
    tells whether audio before ``fresh`` is lost. ``arrived`` is the time at which the step was complete
    (``time.monotonic``).
    """

    end: int
    window: np.ndarray
    fresh: np.ndarray
    dropped: int
    gap: bool
    arrived: float


class Feed:
    """Steps of a stream of blocks.

    Parameters
    ----------
    blocks : mono float32 blocks at 16 kHz, read in a separate thread.
    window, step : samples per window, and from one step to the next.
    lossless : hold the blocks back until each step is taken, instead of skipping steps.
    """

    def __init__(self, blocks: Iterable[np.ndarray], *, window: int, step: int, lossless: bool):
        self._window, self._step, self._lossless = window, step, lossless
        self._held, self._total = np.zeros(0, np.float32), 0
        self._changed = threading.Condition()
        self._ready = (0, 0.0)
        self._taken = 0
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
                self._changed.wait_for(lambda: self._ready[0] > self._taken or self._finished)
                end, arrived = self._ready
                if end == self._taken:
                    break
                first = max(self._taken, self._total - len(self._held))
                step = Step(
                    end=end,
                    window=self._between(max(0, end - self._window), end),
                    fresh=self._between(first, end),
                    dropped=-(-end // self._step) - -(-self._taken // self._step) - 1,
                    gap=first > self._taken,
                    # Blocks that are held back wait for the model, so the time of arrival tells nothing.
                    arrived=time.monotonic() if self._lossless else arrived,
                )
                self._taken = end
                self._changed.notify_all()
            yield step
        if self._failure:
            raise self._failure

    def _between(self, start: int, end: int) -> np.ndarray:
        """Held samples from ``start`` to ``end``, both counted from the beginning of the stream."""
        oldest = self._total - len(self._held)
        return self._held[start - oldest : end - oldest]

    def _read(self, blocks: Iterable[np.ndarray]) -> None:
        try:
            for block in blocks:
                self._push(block)
                if self._closed:
                    return
        except BaseException as error:
            self._failure = error
        with self._changed:
            self._end_step(self._total)
            self._finished = True
            self._changed.notify_all()

    def _push(self, block: np.ndarray) -> None:
        while len(block) and not self._closed:
            with self._changed:
                part, block = np.split(block, [self._step - self._total % self._step])
                self._held = np.concatenate([self._held, part])[-self._window - 2 * self._step :]
                self._total += len(part)
                if self._total % self._step == 0:
                    self._end_step(self._total)

    def _end_step(self, end: int) -> None:
        if end > self._ready[0]:
            self._ready = (end, time.monotonic())
            self._changed.notify_all()
            if self._lossless:
                self._changed.wait_for(lambda: self._taken == end or self._closed)
