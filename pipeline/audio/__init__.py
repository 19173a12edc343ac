"""From bytes to samples at 16 kHz, and what is in them: speech, windows, bands. No TensorFlow."""

from pipeline.audio.decoding import (
    BLOCK_SAMPLES,
    DEFAULT_LIMITS,
    SUFFIXES,
    Limits,
    Source,
    blocks,
    decode,
    decode_int16,
    on_grid,
    resampled,
    sha256,
    to_float,
    to_int16,
)

__all__ = [
    "BLOCK_SAMPLES",
    "DEFAULT_LIMITS",
    "SUFFIXES",
    "Limits",
    "Source",
    "blocks",
    "decode",
    "decode_int16",
    "on_grid",
    "resampled",
    "sha256",
    "to_float",
    "to_int16",
]
