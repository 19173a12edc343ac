"""From a file or bytes to mono float32 at 16 kHz: every limit and every error of decoding.

All audio of the project comes through ``decode``, or in ``blocks`` where a recording is too long to be held at once.
Its samples lie on the int16 grid, so the Store keeps them without loss and a clip scores the same from the Store as
from its file.
"""

import hashlib
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError

FULL_SCALE = 32768.0
BLOCK_SAMPLES = 1 << 16
MIN_RATE_HZ = 4000
"""Lower sample rates are not taken for real."""
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,caf,flac,flv,g722,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,"
    "w64,wav"
)
"""Containers that FFmpeg may find in a recording. Playlists are not among them: they name other files and addresses,
and FFmpeg would read those."""
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".amr", ".g722", ".wma"}
    | {".aif", ".aiff", ".au", ".mka", ".mkv", ".mov", ".3gp"}
)
"""Names of files that count as recordings when a folder is searched; a file that is named may be called anything."""
Source = str | os.PathLike | bytes
Opened = tuple[int, int, Iterator[np.ndarray]]
"""Sample rate in Hz, channels of the file, and blocks ``[samples, channels]`` of float32."""


@dataclass(frozen=True)
class Limits:
    """What decoding a file may cost. ``max_samples`` counts those of all channels, before resampling."""

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
    source : path, or the bytes of a file. WAV, FLAC, OGG, Opus and MP3 are read by libsndfile, all else by FFmpeg.
    config : limits on duration and level.
    limits : limits on the file.
    format_hint : FFmpeg's name of a headerless format (``g722``); by default taken from the suffix.

    Returns
    -------
    Samples ``[samples]`` float32 at 16 kHz, multiples of 1/32768 in −1…1; channels are averaged.

    Raises
    ------
    AudioError
        Unreadable, empty, not finite, too short, too long, too large or silent. Decoding stops as soon as a limit is
        passed, so a small file of hours of audio costs no more than one at the limit.
    """
    return to_float(decode_int16(source, config=config, limits=limits, format_hint=format_hint))


def decode_int16(
    source: Source,
    *,
    config: AudioConfig = DEFAULT_CONFIG,
    limits: Limits = DEFAULT_LIMITS,
    format_hint: str = "",
) -> np.ndarray:
    """``decode`` as the Store keeps it: samples ``[samples]`` int16."""
    _check_size(source, limits)
    samples = _read(source, format_hint or _headerless_format(source), min(config.max_s, limits.max_s), limits)
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s < config.min_s:
        raise AudioError(f"too short: {duration_s:.3f} s, at least {config.min_s:g} s are needed")
    peak = max(int(samples.max()), -int(samples.min())) / FULL_SCALE
    if peak < 10 ** (config.silence_dbfs / 20):
        level = f"{20 * math.log10(peak):.0f} dB" if peak > 0 else "no signal"
        raise AudioError(f"silent: its peak is {level}, at least {config.silence_dbfs:g} dB full scale is needed")
    return samples


def blocks(source: Source, *, mix: bool = True, limits: Limits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """Decode a recording of any length, a few seconds at a time.

    Yields blocks ``[samples, channels]`` of what ``decode`` would give; with ``mix`` there is one channel, the average.
    Raises ``AudioError`` for what is unreadable, empty or not finite; nothing is refused for its length or level.
    """
    import soundfile

    _check_size(source, limits)
    with ExitStack() as stack:
        rate_hz, channels, read = _enter(stack, source, mix)
        _check_layout(rate_hz, channels, limits)
        try:
            yield from resampled(map(_mix, read) if mix else read, rate_hz)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"unreadable: the file is damaged ({error})") from None


def resampled(read: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]`` of float32 as blocks at 16 kHz on the int16 grid.

    Raises ``AudioError`` for samples that are not finite, and where there is none.
    """
    yield from map(to_float, _resampled_int16(read, rate_hz))


def _resampled_int16(read: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    resample = None
    for block in read:
        if not np.isfinite(block).all():
            raise AudioError("not finite: the recording holds NaN or infinite samples")
        resample = resample or _resampler(rate_hz, block.shape[1])
        yield to_int16(resample(np.ascontiguousarray(block)))
    if resample is None:
        raise AudioError("empty: the file holds no samples")
    yield to_int16(resample(np.zeros((0, block.shape[1]), np.float32), last=True))


def on_grid(wave: np.ndarray) -> np.ndarray:
    """Float samples in −1…1 as multiples of 1/32768, clipped, float32; same shape."""
    return to_float(to_int16(wave))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Float samples in −1…1 rounded to int16, clipped; same shape."""
    scaled = wave * FULL_SCALE
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples int16 as float32 in −1…1."""
    return samples.astype(np.float32) * np.float32(1 / FULL_SCALE)


def sha256(wave: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the samples as little-endian int16; ``wave`` is float32 or int16."""
    samples = wave if wave.dtype == np.int16 else to_int16(wave)
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


def _headerless_format(source: Source) -> str:
    named = not isinstance(source, bytes) and os.fsdecode(source).lower().endswith(".g722")
    return "g722" if named else ""


def _read(source: Source, hint: str, max_s: float, limits: Limits) -> np.ndarray:
    """Samples int16 at 16 kHz."""
    if not hint:
        import soundfile

        try:
            with _libsndfile(source) as opened:
                return _collect(*opened, max_s, limits)
        except soundfile.LibsndfileError:
            pass  # FFmpeg knows more formats; its error is the one to report
    with _ffmpeg(source, hint) as opened:
        return _collect(*opened, max_s, limits)


def _enter(stack: ExitStack, source: Source, mix: bool) -> Opened:
    """A recording opened by whichever library knows its format, for as long as the stack lasts."""
    import soundfile

    hint = _headerless_format(source)
    if not hint:
        try:
            return stack.enter_context(_libsndfile(source))
        except soundfile.LibsndfileError:
            pass
    return stack.enter_context(_ffmpeg(source, hint, mix=mix))


@contextmanager
def _libsndfile(source: Source) -> Iterator[Opened]:
    import soundfile

    # By its name libsndfile reads a file itself; an open one it reads through Python, a block at a time.
    named = io.BytesIO(source) if isinstance(source, bytes) else os.fsencode(source)
    with soundfile.SoundFile(named) as file:
        # Else python-soundfile seeks to where it is after every block, where Opus and MP3 then begin anew.
        file.seekable = lambda: False
        yield file.samplerate, file.channels, _soundfile_blocks(file)


@contextmanager
def _ffmpeg(source: Source, hint: str, *, mix: bool = True) -> Iterator[Opened]:
    import av

    try:
        options = {"format_whitelist": FFMPEG_FORMATS, "protocol_whitelist": ""}
        with av.open(_opened(source), format=hint or None, options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError("unreadable: the file has no audio stream")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise AudioError("unreadable: FFmpeg does not know the codec of the file's audio")
            rate_hz, channels = stream.codec_context.sample_rate or stream.rate, stream.codec_context.channels or 1
            layout = "mono" if mix else stream.codec_context.layout
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
            yield rate_hz, channels, _ffmpeg_blocks(container, stream, resampler)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(f"unreadable: not audio that libsndfile or FFmpeg can decode ({error})") from None


def _check_size(source: Source, limits: Limits) -> None:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    except OSError as error:
        raise AudioError(f"unreadable: {error.strerror or error}") from None
    if size == 0:
        raise AudioError("empty: the file has no bytes")
    if size > limits.max_bytes:
        raise AudioError(f"too large: {size / 1e6:.1f} MB, at most {limits.max_bytes / 1e6:g} MB are taken")


def _opened(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise AudioError(f"unreadable: {error.strerror or error}") from None


def _soundfile_blocks(file) -> Iterator[np.ndarray]:
    while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        yield block


def _ffmpeg_blocks(container, stream, resampler) -> Iterator[np.ndarray]:
    for frame in container.decode(stream):
        for converted in resampler.resample(frame):
            yield converted.to_ndarray().T
    for converted in resampler.resample(None):
        yield converted.to_ndarray().T


def _collect(rate_hz: int, channels: int, blocks: Iterator[np.ndarray], max_s: float, limits: Limits) -> np.ndarray:
    """The blocks ``[samples, channels]`` as one recording; no more of it is held than its samples at 16 kHz."""
    _check_layout(rate_hz, channels, limits)
    mono = _mono_within(blocks, rate_hz, channels, max_s, limits)
    return np.concatenate(list(_resampled_int16(mono, rate_hz)))[:, 0]


def _check_layout(rate_hz: int, channels: int, limits: Limits) -> None:
    if not MIN_RATE_HZ <= rate_hz <= limits.max_rate_hz:
        raise AudioError(f"unreadable: sample rate {rate_hz} Hz lies outside {MIN_RATE_HZ} to {limits.max_rate_hz} Hz")
    if channels > limits.max_channels:
        raise AudioError(f"unreadable: {channels} channels, at most {limits.max_channels} are taken")


def _mono_within(
    blocks: Iterator[np.ndarray], rate_hz: int, channels: int, max_s: float, limits: Limits
) -> Iterator[np.ndarray]:
    """The average of the channels ``[samples, 1]``, until a limit is passed."""
    samples = 0
    for block in blocks:
        samples += len(block)
        if samples > max_s * rate_hz:
            raise AudioError(f"too long: over {max_s:g} s")
        if samples * channels > limits.max_samples:
            raise AudioError(f"too long: over {limits.max_samples:g} samples in its {channels} channels")
        yield _mix(block)


def _mix(block: np.ndarray) -> np.ndarray:
    return block if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32, keepdims=True)


def _resampler(rate_hz: int, channels: int) -> Callable[..., np.ndarray]:
    if rate_hz == SAMPLE_RATE_HZ:
        return lambda block, last=False: block
    import soxr

    return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, channels, dtype="float32", quality="HQ").resample_chunk
