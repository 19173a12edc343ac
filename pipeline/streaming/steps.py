"""Steps of live audio: the last seconds at regular times, cut from samples as they arrive.

Used by ``feed`` for one thread and by the page's streams for one event loop. Memory holds only the last seconds.
"""

import time
from dataclasses import dataclass

import numpy as np


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


class Steps:
    """Newest step of the samples added so far; its users take turns.

    Parameters
    ----------
    window, step : samples per window, and from one step to the next.
    lossless : whether the user adds nothing while a step waits, so that none is skipped.
    """

    def __init__(self, *, window: int, step: int, lossless: bool):
        self._window, self._step, self._lossless = window, step, lossless
        self._held, self.total = np.zeros(0, np.float32), 0
        self._ready = (0, 0.0)
        self._taken = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a step is complete and not yet taken."""
        return self._ready[0] > self._taken

    def add(self, block: np.ndarray) -> np.ndarray:
        """Add mono float32 samples at 16 kHz up to the end of the step; return the rest."""
        part, rest = np.split(block, [self._step - self.total % self._step])
        self._held = np.concatenate([self._held, part])[-self._window - 2 * self._step :]
        self.total += len(part)
        if self.total % self._step == 0:
            self.end()
        return rest

    def end(self) -> None:
        """Make a step of the samples behind the last one, if there are any."""
        if self.total > self._ready[0]:
            self._ready = (self.total, time.monotonic())

    def take(self) -> Step:
        """The newest step; one must wait."""
        end, arrived = self._ready
        first = max(self._taken, self.total - len(self._held))
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
        return step

    def _between(self, start: int, end: int) -> np.ndarray:
        """Held samples from ``start`` to ``end``, both counted from the beginning of the stream."""
        oldest = self.total - len(self._held)
        return self._held[start - oldest : end - oldest]
