"""From a file or its bytes to samples at 16 kHz, within limits.

``read`` decodes a recording into memory, ``blocks`` one of any length; nothing else in the project decodes audio.
Samples lie on the int16 grid: the Store keeps them without loss, and a clip has the same score from there as from its
file.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.audio import channels, containers
from pipeline.audio.channels import Levels, Mix
from pipeline.audio.limits import DEFAULT_LIMITS, Limits, Source
from pipeline.audio.notes import Note
from pipeline.audio.samples import FULL_SCALE, resampled_int16, to_float
from pipeline.audio.span import WHOLE, Span
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError, AudioFault

DEFAULT_CONFIG = AudioConfig()


@dataclass(frozen=True)
class Decoded:
    """A recording as ``samples`` ``[samples]`` int16 at 16 kHz, the type the Store keeps, and the notes on it."""

    samples: np.ndarray
    notes: tuple[Note, ...] = ()

    @property
    def wave(self) -> np.ndarray:
        """The samples as float32 in −1…1."""
        return to_float(self.samples)

    @property
    def note(self) -> str:
        """All notes as one line; normally empty."""
        return "; ".join(map(str, self.notes))


def decode(source: Source, *, config: AudioConfig = DEFAULT_CONFIG, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Decode a recording to float32 ``[samples]`` in −1…1, multiples of 1/32768; otherwise like ``read``."""
    return read(source, config=config, limits=limits).wave


def read(
    source: Source, *, config: AudioConfig = DEFAULT_CONFIG, limits: Limits = DEFAULT_LIMITS, span: Span = WHOLE
) -> Decoded:
    """Decode a recording to 16 kHz, with the notes on it; channels are averaged, see ``channels``.

    Parameters
    ----------
    source : path, or the bytes of a file.
    config : limits on duration and level.
    limits : limits on the file.
    span : part of the recording to read, to which the limits on duration and level apply.

    Raises
    ------
    AudioError
        Unreadable, empty, not finite, too short, too long, too large or silent. Decoding stops as
        soon as a limit is passed, so a small file of hours of audio costs no more than one at the limit.
    """
    limits.check_size(source)
    limits = replace(limits, max_s=min(config.max_s, limits.max_s))
    notes: list[Note] = []
    levels = Levels()
    samples = _collect(levels.watch(limits.within(span.cut(containers.blocks(source, limits, notes)))), Mix())
    mix = levels.mix(notes)
    if mix != Mix():
        samples = _collect(span.cut(containers.blocks(source, limits, [])), mix)
    _check_level(samples, config)
    return Decoded(samples, tuple(notes))


def blocks(
    source: Source,
    *,
    mix: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    notes: list[Note] | None = None,
    span: Span = WHOLE,
) -> Iterator[np.ndarray]:
    """Decode a recording of any length, or a part of it, a few seconds at a time.

    Yields the samples of ``decode`` as blocks ``[samples, channels]``; ``mix`` makes one channel of them. ``notes``
    receives the notes, complete after the last block. A file of several channels, or with samples of 1 or more, is
    decoded twice, first for its levels. Raises ``AudioError`` if the recording is unreadable, empty or not finite; any
    length and level is allowed.
    """
    limits.check_size(source)
    notes, levels = [] if notes is None else notes, Levels()
    for _ in levels.watch(span.cut(containers.blocks(source, limits, []))):
        if levels.are_plain:
            break
    chosen = levels.mix(notes) if mix else Mix(gain=levels.gain(notes))
    read = _checked(span.cut(containers.blocks(source, limits, notes)), chosen, mix)
    yield from map(to_float, resampled_int16(read))


def _checked(read: Iterable[tuple[int, np.ndarray]], chosen: Mix, mix: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Mixed or scaled blocks; raises ``AudioError`` if they overshoot, or change channels that are not mixed."""
    expected = 0
    for rate_hz, block in read:
        scaled = chosen.scaled(block)
        channels.check(channels.peak(scaled))
        expected = expected or block.shape[1]
        if not mix and block.shape[1] != expected:
            raise AudioError(
                AudioFault.UNREADABLE,
                f"the recording changes from {expected} to {block.shape[1]} channels; --channels mix averages them",
            )
        yield rate_hz, chosen(block) if mix else scaled


def _collect(read: Iterable[tuple[int, np.ndarray]], mix: Mix) -> np.ndarray:
    """The mixed recording as int16 at 16 kHz. Source samples are dropped block by block, to save memory."""
    mono = ((rate_hz, mix(block)) for rate_hz, block in read)
    return np.concatenate(list(resampled_int16(mono)))[:, 0]


def _check_level(samples: np.ndarray, config: AudioConfig) -> None:
    """Raise ``AudioError`` for a recording that is too short or silent."""
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < config.min_s:
        raise AudioError(AudioFault.TOO_SHORT, f"{duration_s:.3f} s, at least {config.min_s:g} s are needed")
    peak = max(int(samples.max()), -int(samples.min())) / FULL_SCALE
    if peak < 10 ** (config.silence_dbfs / 20):
        level = f"the peak is {20 * math.log10(peak):.0f} dB full scale" if peak > 0 else "all samples are 0"
        raise AudioError(AudioFault.SILENT, f"{level}, a peak of {config.silence_dbfs:g} dB full scale is needed")
