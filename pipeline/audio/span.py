"""Part of a recording to read, from one time to another: ``--start`` and ``--end`` of the scoring commands."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.config import option
from pipeline.errors import AudioError, AudioFault, ConfigError


@dataclass(frozen=True)
class Span:
    """Part of a recording between two times in s; ``end_s`` None: up to its end."""

    start_s: float = 0.0
    end_s: float | None = None

    def cut(self, read: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Blocks ``[samples, channels]`` of the part, with their rates; nothing behind it is decoded.

        An end behind that of the recording is that of the recording. Raises ``AudioError`` if the part holds nothing.
        """
        at_s, empty = 0.0, True
        for rate_hz, block in read:
            first = max(round((self.start_s - at_s) * rate_hz), 0)
            last = len(block) if self.end_s is None else round((self.end_s - at_s) * rate_hz)
            at_s += len(block) / rate_hz
            if len(part := block[first:last]):
                empty = False
                yield rate_hz, part
            if self.end_s is not None and at_s >= self.end_s:
                break
        if empty and self != WHOLE:
            raise AudioError(AudioFault.TOO_SHORT, f"it ends at {at_s:.3f} s, --start is {self.start_s:g} s")


WHOLE = Span()


@dataclass(frozen=True)
class SpanOptions:
    """Part of each recording."""

    start: float = option(0.0, "second of each recording to begin at; times in results stay those of the file", least=0)
    end: float | None = option(None, "second of each recording to end at; by default its end")

    @property
    def span(self) -> Span:
        """The part; raises ``ConfigError`` if it ends before it starts."""
        if self.end is not None and self.end <= self.start:
            raise ConfigError(f"--end {self.end:g}: expected more than --start, which is {self.start:g}")
        return Span(self.start, self.end)
