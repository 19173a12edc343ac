"""From a file or bytes to mono float32 at 16 kHz, with every limit on the way.

All audio of the project is decoded by ``decode``, or by ``blocks`` if a recording is too long to hold in memory. The
samples lie on the int16 grid, so the Store keeps them without loss and a clip scores the same from the Store as from
its file.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.audio import containers
from pipeline.audio.containers import Opened, Source
from pipeline.audio.notes import Note
from pipeline.audio.samples import FULL_SCALE, resampled, resampled_int16, to_float
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError, AudioFault

MIN_RATE_HZ = 4000
"""Lower sample rates are taken for damage."""


@dataclass(frozen=True)
class Limits:
    """Bounds on the cost of decoding a file. ``max_samples`` counts all channels, before resampling."""

    max_bytes: float = math.inf
    max_s: float = math.inf
    max_channels: int = 32
    max_rate_hz: int = 384000
    max_samples: float = math.inf


DEFAULT_CONFIG, DEFAULT_LIMITS = AudioConfig(), Limits()


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


def decode(
    source: Source,
    *,
    config: AudioConfig = DEFAULT_CONFIG,
    limits: Limits = DEFAULT_LIMITS,
    format_hint: str = "",
) -> np.ndarray:
    """Decode a recording to float32 ``[samples]`` in −1…1, multiples of 1/32768; otherwise like ``read``."""
    return read(source, config=config, limits=limits, format_hint=format_hint).wave


def read(
    source: Source,
    *,
    config: AudioConfig = DEFAULT_CONFIG,
    limits: Limits = DEFAULT_LIMITS,
    format_hint: str = "",
) -> Decoded:
    """Decode a recording to 16 kHz, with the notes on it; channels are averaged.

    Parameters
    ----------
    source : path, or the bytes of a file. libsndfile reads WAV, FLAC, OGG, Opus and MP3; FFmpeg the rest.
    config : limits on duration and level.
    limits : limits on the file.
    format_hint : FFmpeg's name of a headerless format (``g722``); by default taken from the suffix.

    Raises
    ------
    AudioError
        Unreadable, empty, not finite, too short, too long, too large or silent. Decoding stops as
        soon as a limit is passed, so a small file of hours of audio costs no more than one at the limit.
    """
    _check_size(source, limits)
    hint = format_hint or containers.headerless_format(source)
    decoded = _read(source, hint, min(config.max_s, limits.max_s), limits)
    samples = decoded.samples
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < config.min_s:
        raise AudioError(AudioFault.TOO_SHORT, f"{duration_s:.3f} s, at least {config.min_s:g} s are needed")
    peak = max(int(samples.max()), -int(samples.min())) / FULL_SCALE
    if peak < 10 ** (config.silence_dbfs / 20):
        level = f"{20 * math.log10(peak):.0f} dB" if peak > 0 else "no signal"
        raise AudioError(
            AudioFault.SILENT, f"its peak is {level}, at least {config.silence_dbfs:g} dB full scale is needed"
        )
    return decoded


def blocks(source: Source, *, mix: bool = True, limits: Limits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """Decode a recording of any length, a few seconds at a time.

    Yields the samples of ``decode`` as blocks ``[samples, channels]``; ``mix`` averages them to one channel.
    Raises ``AudioError`` if the recording is unreadable, empty or not finite; any length and level is allowed.
    """
    import soundfile

    _check_size(source, limits)
    with ExitStack() as stack:
        opened = containers.enter(stack, source, mix)
        _check_layout(opened.rate_hz, opened.channels, limits)
        try:
            yield from resampled(map(_mix, opened.blocks) if mix else opened.blocks, opened.rate_hz)
        except soundfile.LibsndfileError as error:
            raise AudioError(AudioFault.UNREADABLE, f"the file is damaged ({error})") from None


def _read(source: Source, hint: str, max_s: float, limits: Limits) -> Decoded:
    if not hint:
        import soundfile

        try:
            with containers.libsndfile(source) as opened:
                return _collect(opened, max_s, limits)
        except soundfile.LibsndfileError:
            pass  # FFmpeg knows more formats; its error is the one to report
    with containers.ffmpeg(source, hint) as opened:
        return _collect(opened, max_s, limits)


def _check_size(source: Source, limits: Limits) -> None:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    except OSError as error:
        raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None
    if size == 0:
        raise AudioError(AudioFault.EMPTY, "the file has no bytes")
    if size > limits.max_bytes:
        raise AudioError(AudioFault.TOO_LARGE, f"{size / 1e6:.1f} MB, at most {limits.max_bytes / 1e6:g} MB are taken")


def _collect(opened: Opened, max_s: float, limits: Limits) -> Decoded:
    """Join the blocks to one recording, holding only its samples at 16 kHz."""
    _check_layout(opened.rate_hz, opened.channels, limits)
    mono = _mono_within(opened.blocks, opened.rate_hz, opened.channels, max_s, limits)
    samples = np.concatenate(list(resampled_int16(mono, opened.rate_hz)))[:, 0]
    return Decoded(samples, tuple(opened.notes))


def _check_layout(rate_hz: int, channels: int, limits: Limits) -> None:
    if not MIN_RATE_HZ <= rate_hz <= limits.max_rate_hz:
        raise AudioError(
            AudioFault.UNREADABLE, f"sample rate {rate_hz} Hz lies outside {MIN_RATE_HZ} to {limits.max_rate_hz} Hz"
        )
    if channels > limits.max_channels:
        raise AudioError(AudioFault.UNREADABLE, f"{channels} channels, at most {limits.max_channels} are taken")


def _mono_within(
    blocks: Iterator[np.ndarray], rate_hz: int, channels: int, max_s: float, limits: Limits
) -> Iterator[np.ndarray]:
    """The average of the channels ``[samples, 1]``, until a limit is passed."""
    samples = 0
    for block in blocks:
        samples += len(block)
        if samples > max_s * rate_hz:
            raise AudioError(AudioFault.TOO_LONG, f"over {max_s:g} s")
        if samples * channels > limits.max_samples:
            raise AudioError(AudioFault.TOO_LONG, f"over {limits.max_samples:g} samples in its {channels} channels")
        yield _mix(block)


def _mix(block: np.ndarray) -> np.ndarray:
    return block if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32, keepdims=True)
