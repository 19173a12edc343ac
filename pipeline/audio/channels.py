"""From the channels of a recording to one: their average, unless their levels show that it would mislead.

``Levels`` adds up the blocks of a recording; ``Mix`` is what follows from them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.audio.limits import OVERSHOOT
from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

INT16_PEAKS = (256.0, 32768.0)
"""Peaks of floats that were not divided by int16's full scale; a recording within them is no louder than −42 dBFS."""
CANCELLING_DB = 10.0
"""Channels cancel if their sum lies this far under the loudest: two of equal level then correlate below −0.95."""
FRAME_S = 0.1
ACTIVE_DB, LEADING_DB = -30.0, 12.0
"""Level of a frame against the loudest one from which it counts, and of the party that speaks against the other."""
MIN_TURNS, MAX_CORRELATION = 0.15, 0.5
"""Share of the frames that each party of a call has, and correlation of the two channels."""


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
    """How blocks ``[samples, channels]`` become one channel ``[samples, 1]``: one of them, or all averaged (None)."""

    channel: int | None = None
    gain: float = 1.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        channels = block.shape[1]
        if self.channel is not None and self.channel < channels:
            block = block[:, self.channel, None]
        elif channels > 1:
            block = block.mean(axis=1, dtype=np.float32, keepdims=True)
        return self.scaled(block)

    def scaled(self, block: np.ndarray) -> np.ndarray:
        """A block times the gain, its channels as they are."""
        return block if self.gain == 1 else block * np.float32(self.gain)


class Levels:
    """Peak of a recording, and the levels of its channels."""

    def __init__(self):
        self.peak = 0.0
        self._powers: np.ndarray | None = None
        self._sum_power = self._product = 0.0
        self._frames: list[np.ndarray] = []

    @property
    def are_plain(self) -> bool:
        """Whether nothing so far needs more than ``Mix()``."""
        return self._powers is None and self.peak <= OVERSHOOT

    def watch(self, read: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Pass on blocks ``[samples, channels]`` with their rates, and add them.

        In a file joined from parts, the levels are those of the parts with as many channels as the first of several.
        """
        for rate_hz, block in read:
            self.peak = max(self.peak, peak(block))
            if block.shape[1] > 1 and (self._powers is None or len(self._powers) == block.shape[1]):
                self._add(rate_hz, block)
            yield rate_hz, block

    def mix(self, notes: list[Note]) -> Mix:
        """How to mix the recording; ``notes`` receives the reasons. Raises ``AudioError`` as ``gain`` does."""
        gain = self.gain(notes)
        if self._powers is None or not self._powers.any():
            return Mix(gain=gain)
        loudest = int(self._powers.argmax())
        below_db = -10 * np.log10(max(self._sum_power / self._powers[loudest], 1e-12))
        if below_db > CANCELLING_DB:
            detail = f"the sum of the channels lies {below_db:.0f} dB under channel {loudest + 1}, which is scored"
            notes.append(Note(NoteKind.CANCELLING, detail))
            return Mix(loudest, gain)
        if self._is_call():
            detail = "each channel holds one party, their average is scored; analyse scores each channel"
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
        if self._powers is None:
            self._powers = np.zeros(block.shape[1])
        self._powers += np.einsum("sc,sc->c", block, block, dtype=np.float64)
        total = block.sum(axis=1)
        self._sum_power += float(total @ total)
        if block.shape[1] == 2:
            self._product += float(block[:, 0] @ block[:, 1])
            size = round(FRAME_S * rate_hz)
            frames = block[: len(block) // size * size].reshape(-1, size, 2)  # (frames, samples, 2)
            self._frames.append(np.einsum("fsc,fsc->fc", frames, frames) / size)

    def _is_call(self) -> bool:
        if len(self._powers) != 2 or not self._powers.all():
            return False
        if abs(self._product) > MAX_CORRELATION * np.sqrt(self._powers.prod()):
            return False
        frames = np.concatenate(self._frames)  # (frames, 2)
        active = frames[frames.max(axis=1) > frames.max(initial=0) * 10 ** (ACTIVE_DB / 10)]
        if not len(active):
            return False
        lead = 10 ** (LEADING_DB / 10)
        turns = [np.mean(active[:, a] > lead * active[:, b]) for a, b in ((0, 1), (1, 0))]
        return min(turns) >= MIN_TURNS
