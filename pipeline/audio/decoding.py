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
from pipeline.audio.containers import Source
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


def decode(
    source: Source,
    *,
    config: AudioConfig = DEFAULT_CONFIG,
    limits: Limits = DEFAULT_LIMITS,
    format_hint: str = "",
) -> np.ndarray:
    """Decode a recording.

    Parameters
    ----------
    source : path, or the bytes of a file. libsndfile reads WAV, FLAC, OGG, Opus and MP3; FFmpeg the rest.
    config : limits on duration and level.
    limits : limits on the file.
    format_hint : FFmpeg's name of a headerless format (``g722``); by default taken from the suffix.

    Returns
    -------
    Samples ``[samples]`` float32 at 16 kHz, multiples of 1/32768 in −1…1; channels are averaged.

    Raises
    ------
    AudioError
        Unreadable, empty, not finite, too short, too long, too large or silent. Decoding stops as
        soon as a limit is passed, so a small file of hours of audio costs no more than one at the limit.
    """
    return to_float(decode_int16(source, config=config, limits=limits, format_hint=format_hint))


def decode_int16(
    source: Source,
    *,
    config: AudioConfig = DEFAULT_CONFIG,
    limits: Limits = DEFAULT_LIMITS,
    format_hint: str = "",
) -> np.ndarray:
    """``decode`` as int16 ``[samples]``, the type the Store keeps."""
    _check_size(source, limits)
    samples = _read(
        source, format_hint or containers.headerless_format(source), min(config.max_s, limits.max_s), limits
    )
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < config.min_s:
        raise AudioError(AudioFault.TOO_SHORT, f"{duration_s:.3f} s, at least {config.min_s:g} s are needed")
    peak = max(int(samples.max()), -int(samples.min())) / FULL_SCALE
    if peak < 10 ** (config.silence_dbfs / 20):
        level = f"{20 * math.log10(peak):.0f} dB" if peak > 0 else "no signal"
        raise AudioError(
            AudioFault.SILENT, f"its peak is {level}, at least {config.silence_dbfs:g} dB full scale is needed"
        )
    return samples


def blocks(source: Source, *, mix: bool = True, limits: Limits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """Decode a recording of any length, a few seconds at a time.

    Yields the samples of ``decode`` as blocks ``[samples, channels]``; ``mix`` averages them to one channel.
    Raises ``AudioError`` if the recording is unreadable, empty or not finite; any length and level is allowed.
    """
    import soundfile

    _check_size(source, limits)
    with ExitStack() as stack:
        rate_hz, channels, read = containers.enter(stack, source, mix)
        _check_layout(rate_hz, channels, limits)
        try:
            yield from resampled(map(_mix, read) if mix else read, rate_hz)
        except soundfile.LibsndfileError as error:
            raise AudioError(AudioFault.UNREADABLE, f"the file is damaged ({error})") from None


def _read(source: Source, hint: str, max_s: float, limits: Limits) -> np.ndarray:
    """Samples int16 at 16 kHz."""
    if not hint:
        import soundfile

        try:
            with containers.libsndfile(source) as opened:
                return _collect(*opened, max_s, limits)
        except soundfile.LibsndfileError:
            pass  # FFmpeg knows more formats; its error is the one to report
    with containers.ffmpeg(source, hint) as opened:
        return _collect(*opened, max_s, limits)


def _check_size(source: Source, limits: Limits) -> None:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    except OSError as error:
        raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None
    if size == 0:
        raise AudioError(AudioFault.EMPTY, "the file has no bytes")
    if size > limits.max_bytes:
        raise AudioError(AudioFault.TOO_LARGE, f"{size / 1e6:.1f} MB, at most {limits.max_bytes / 1e6:g} MB are taken")


def _collect(rate_hz: int, channels: int, blocks: Iterator[np.ndarray], max_s: float, limits: Limits) -> np.ndarray:
    """Join blocks ``[samples, channels]`` to one recording, holding only its samples at 16 kHz."""
    _check_layout(rate_hz, channels, limits)
    mono = _mono_within(blocks, rate_hz, channels, max_s, limits)
    return np.concatenate(list(resampled_int16(mono, rate_hz)))[:, 0]


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
