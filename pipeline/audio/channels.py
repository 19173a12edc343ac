"""From the channels of a recording to one: their average, or the loudest if they cancel each other.

``Levels`` measures a recording block by block; the ``Mix`` to use follows from it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.audio.limits import OVERSHOOT
from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

INT16_PEAKS = (256.0, 32768.0)
"""Peaks of floats that were not divided by int16's full scale; a recording within them is no louder than −42 dBFS."""
FRAME_S = 0.1
ACTIVE_DB = 30.0
"""Frames count if their loudest channel lies within this of the loudest frame."""
CANCELLING_DB, MIN_CANCELLING = 10.0, 0.05
"""Channels cancel in a frame if their sum lies this far under the loudest, and in a recording in this share of it."""
LEADING_DB, MIN_TURNS, MAX_CORRELATION = 12.0, 0.15, 0.5
"""A call: in this share of it each channel is that much louder than the other, and they correlate no more than that."""


def peak(block: np.ndarray) -> float:
    """Largest absolute sample of a block."""
    return max(float(block.max()), -float(block.min()))


def check(largest: float) -> None:
    """Raise ``AudioError`` for a peak too far beyond full scale to be overshoot."""
    if largest > OVERSHOOT:
        raise AudioError(
            AudioFault.UNREADABLE,
            f"the samples reach {largest:g}, full scale is 1 and at most {OVERSHOOT:g} is clipped; rescale them",
        )


@dataclass(frozen=True)
class Mix:
    """Function from blocks ``[samples, channels]`` to ``[samples, 1]``: one channel, or the average (None)."""

    channel: int | None = None
    gain: float = 1.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        channels = block.shape[1]
        if self.channel is not None and self.channel < channels:
            block = block[:, self.channel, None]
        elif channels > 1:
            # A product is many times faster than the mean over an axis as short as this.
            block = block @ np.full((channels, 1), 1 / channels, np.float32)
        return self.scaled(block)

    def scaled(self, block: np.ndarray) -> np.ndarray:
        """A block times the gain, its channels as they are."""
        return block if self.gain == 1 else block * np.float32(self.gain)


class Levels:
    """Peak of a recording, and the levels of its channels over time."""

    def __init__(self):
        self.peak = 0.0
        self._channels = 1
        self._powers: list[np.ndarray] = []

    @property
    def are_plain(self) -> bool:
        """Whether what was read settles on ``Mix()``: one channel, and a peak too low for a sample in int16's range."""
        return self._channels == 1 and 0 < self.peak < 1

    def watch(self, read: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Pass on blocks ``[samples, channels]`` with their rates, and add them.

        In a file joined from parts, the levels are those of the parts with as many channels as the first of several.
        """
        for rate_hz, block in read:
            self.peak = max(self.peak, peak(block))
            if self._channels == 1:
                self._channels = block.shape[1]
            if block.shape[1] == self._channels > 1:
                self._add(rate_hz, block)
            yield rate_hz, block

    def mix(self, notes: list[Note]) -> Mix:
        """How to mix the recording; ``notes`` receives the reasons. Raises ``AudioError`` as ``gain`` does."""
        gain = self.gain(notes)
        powers = np.concatenate(self._powers or [np.zeros((0, 2))])  # (frames, channels + 1)
        loudest = powers[:, :-1].max(axis=1)  # (frames,)
        active = loudest > loudest.max(initial=0) * _ratio(-ACTIVE_DB)
        if not active.any():
            return Mix(gain=gain)
        powers, loudest = powers[active], loudest[active]
        cancelling = np.mean(powers[:, -1] < loudest * _ratio(-CANCELLING_DB))
        if cancelling >= MIN_CANCELLING:
            channel = int(powers[:, :-1].sum(axis=0).argmax())
            detail = f"the channels cancel in {cancelling:.0%} of the recording, only channel {channel + 1} is scored"
            notes.append(Note(NoteKind.CANCELLING, detail))
            return Mix(channel, gain)
        if self._channels == 2 and _is_call(powers):
            detail = "each channel holds one party, the score is of their average (analyse scores each)"
            notes.append(Note(NoteKind.CALL, detail))
        return Mix(gain=gain)

    def gain(self, notes: list[Note]) -> float:
        """Factor that brings floats in int16's range to −1…1; raises ``AudioError`` as ``check`` does."""
        lowest, full_scale = INT16_PEAKS
        if not lowest <= self.peak <= full_scale:
            check(self.peak)
            return 1.0
        notes.append(Note(NoteKind.SCALED, f"the samples reach {self.peak:g}, they were divided by {full_scale:g}"))
        return 1 / full_scale

    def _add(self, rate_hz: int, block: np.ndarray) -> None:
        """Add the power of each channel, and that of their sum, for each frame of a block."""
        size = round(FRAME_S * rate_hz)
        whole = np.ascontiguousarray(block[: len(block) // size * size].T)  # (channels, samples)
        parts = [part.reshape(-1, size) for part in (*whole, whole.sum(axis=0))]  # each (frames, samples)
        self._powers.append(np.stack([np.einsum("fs,fs->f", part, part) for part in parts], axis=1) / size)


def _is_call(powers: np.ndarray) -> bool:
    """Whether two channels take turns, by the powers ``[frames, 3]`` of both and of their sum."""
    first, second, total = powers.sum(axis=0)
    product = (total - first - second) / 2
    if abs(product) > MAX_CORRELATION * np.sqrt(first * second):
        return False
    leading = _ratio(LEADING_DB)
    turns = [np.mean(powers[:, a] > leading * powers[:, b]) for a, b in ((0, 1), (1, 0))]
    return min(turns) >= MIN_TURNS


def _ratio(level_db: float) -> float:
    """Ratio of powers."""
    return 10 ** (level_db / 10)
