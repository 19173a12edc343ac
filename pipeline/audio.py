"""From a file or bytes to mono float32 at 16 kHz: every limit and every error of decoding.

All audio of the project comes through ``decode``. Its samples lie on the int16 grid, so the Store keeps them without
loss and a clip scores the same from the Store as from its file.
"""

import hashlib
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError

FULL_SCALE = 32768.0
BLOCK_SAMPLES = 1 << 16
RATES_HZ = (4000, 384000)
"""Sample rates that are taken for real."""
MAX_CHANNELS = 32
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".amr", ".g722", ".wma"}
    | {".aif", ".aiff", ".au", ".mka", ".mkv", ".mov", ".3gp"}
)
"""Names of files that count as recordings when a folder is searched; a file that is named may be called anything."""
Source = str | os.PathLike | bytes


DEFAULT_LIMITS = AudioConfig()


def decode(source: Source, *, config: AudioConfig = DEFAULT_LIMITS, format_hint: str = "") -> np.ndarray:
    """Decode a recording.

    Parameters
    ----------
    source : path, or the bytes of a file. WAV, FLAC, OGG, Opus and MP3 are read by libsndfile, all else by FFmpeg.
    config : limits on duration and level.
    format_hint : FFmpeg's name of a headerless format (``g722``); by default taken from the suffix.

    Returns
    -------
    Samples ``[samples]`` float32 at 16 kHz, multiples of 1/32768 in −1…1; channels are averaged.

    Raises
    ------
    AudioError
        Unreadable, empty, not finite, too short, too long or silent. Decoding stops as soon as a limit is passed, so a
        small file of hours of audio costs no more than one at the limit.
    """
    hint = format_hint or _headerless_format(source)
    rate_hz, mono = _read(source, hint, config.max_s)
    if not np.isfinite(mono).all():
        raise AudioError("not finite: the recording holds NaN or infinite samples")
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    wave = to_int16(mono).astype(np.float32) / np.float32(FULL_SCALE)
    duration_s = len(wave) / SAMPLE_RATE_HZ
    if duration_s < config.min_s:
        raise AudioError(f"too short: {duration_s:.3f} s, at least {config.min_s:g} s are needed")
    peak = float(np.abs(wave).max())
    if peak < 10 ** (config.silence_dbfs / 20):
        level = f"{20 * math.log10(peak):.0f} dB" if peak > 0 else "no signal"
        raise AudioError(f"silent: its peak is {level}, at least {config.silence_dbfs:g} dB full scale is needed")
    return wave


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Float samples in −1…1 rounded to int16, clipped; same shape."""
    return np.clip(np.rint(wave * FULL_SCALE), -32768, 32767).astype(np.int16)


def sha256(wave: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the samples as little-endian int16; ``wave`` is float32 or int16."""
    samples = wave if wave.dtype == np.int16 else to_int16(wave)
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


def _headerless_format(source: Source) -> str:
    named = not isinstance(source, bytes) and os.fsdecode(source).lower().endswith(".g722")
    return "g722" if named else ""


def _read(source: Source, hint: str, max_s: float) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and mono float32 samples."""
    _check_size(source)
    if not hint:
        import soundfile

        try:
            with soundfile.SoundFile(_opened(source)) as file:
                return _collect(file.samplerate, file.channels, _soundfile_blocks(file), max_s)
        except soundfile.LibsndfileError:
            pass  # FFmpeg knows more formats; its error is the one to report
    import av

    try:
        with av.open(_opened(source), format=hint or None, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError("unreadable: the file has no audio stream")
            stream = container.streams.audio[0]
            rate_hz = stream.codec_context.sample_rate or stream.rate
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate_hz)
            return _collect(rate_hz, 1, _ffmpeg_blocks(container, stream, resampler), max_s)
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(f"unreadable: not audio that libsndfile or FFmpeg can decode ({error})") from None


def _check_size(source: Source) -> None:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    except OSError as error:
        raise AudioError(f"unreadable: {error.strerror or error}") from None
    if size == 0:
        raise AudioError("empty: the file has no bytes")


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


def _collect(rate_hz: int, channels: int, blocks: Iterator[np.ndarray], max_s: float) -> tuple[int, np.ndarray]:
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise AudioError(f"unreadable: sample rate {rate_hz} Hz lies outside {RATES_HZ[0]} to {RATES_HZ[1]} Hz")
    if channels > MAX_CHANNELS:
        raise AudioError(f"unreadable: {channels} channels, at most {MAX_CHANNELS} are taken")
    parts, samples = [], 0
    for block in blocks:
        parts.append(block.mean(axis=1, dtype=np.float32))  # (block samples,)
        samples += len(block)
        if samples > max_s * rate_hz:
            raise AudioError(f"too long: over {max_s:g} s")
    if samples == 0:
        raise AudioError("empty: the file holds no samples")
    return rate_hz, np.concatenate(parts)
