"""From bytes to samples at 16 kHz, and what they hold: speech, windows, bands. No TensorFlow."""

from pipeline.audio.containers import BLOCK_SAMPLES, SUFFIXES, Source
from pipeline.audio.decoding import DEFAULT_LIMITS, Limits, blocks, decode, decode_int16
from pipeline.audio.samples import on_grid, resampled, sha256, to_float, to_int16

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
