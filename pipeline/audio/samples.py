"""Samples on the int16 grid: the scale between int16 and float32, resampling to 16 kHz and the digest of a waveform."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError, AudioFault

FULL_SCALE = 32768.0


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Float samples in −1…1 rounded to int16, clipped; same shape."""
    scaled = wave * FULL_SCALE
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples int16 as float32 in −1…1."""
    return samples.astype(np.float32) * np.float32(1 / FULL_SCALE)


def on_grid(wave: np.ndarray) -> np.ndarray:
    """Float samples in −1…1 as multiples of 1/32768, clipped, float32; same shape."""
    return to_float(to_int16(wave))


def sha256(wave: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the samples as little-endian int16; ``wave`` is float32 or int16."""
    samples = wave if wave.dtype == np.int16 else to_int16(wave)
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


def resampled(read: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]`` of float32, resampled to 16 kHz on the int16 grid.

    Raises ``AudioError`` if there are no samples or some are not finite.
    """
    yield from map(to_float, resampled_int16((rate_hz, block) for block in read))


def resampled_int16(read: Iterable[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
    """``resampled`` as int16, of blocks that each have their sample rate in Hz."""
    resample, current_hz = None, 0
    for rate_hz, block in read:
        if not np.isfinite(block).all():
            raise AudioError(AudioFault.NOT_FINITE, "the recording holds NaN or infinite samples")
        nothing = np.zeros((0, block.shape[1]), np.float32)
        if rate_hz != current_hz:
            if resample:
                yield to_int16(resample(nothing, last=True))
            resample, current_hz = resampler(rate_hz, block.shape[1]), rate_hz
        yield to_int16(resample(np.ascontiguousarray(block)))
    if resample is None:
        raise AudioError(AudioFault.EMPTY, "the file holds no samples")
    yield to_int16(resample(nothing, last=True))


def resampler(rate_hz: int, channels: int) -> Callable[..., np.ndarray]:
    """Function from blocks ``[samples, channels]`` float32 to such blocks at 16 kHz; ``last=True`` ends the stream."""
    if rate_hz == SAMPLE_RATE_HZ:
        return lambda block, last=False: block
    import soxr

    return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, channels, dtype="float32", quality="HQ").resample_chunk
