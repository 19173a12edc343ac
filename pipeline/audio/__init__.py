"""From bytes to samples at 16 kHz, and what they hold: speech, windows, bands. No TensorFlow."""

from pipeline.audio.containers import SUFFIXES
from pipeline.audio.decoding import Decoded, blocks, decode, read
from pipeline.audio.limits import DEFAULT_LIMITS, Limits, Source
from pipeline.audio.notes import Note, NoteKind
from pipeline.audio.samples import on_grid, resampled, resampler, sha256, to_float, to_int16
from pipeline.audio.span import WHOLE, Span, SpanOptions

__all__ = [
    "DEFAULT_LIMITS",
    "SUFFIXES",
    "WHOLE",
    "Decoded",
    "Limits",
    "Note",
    "NoteKind",
    "Source",
    "Span",
    "SpanOptions",
    "blocks",
    "decode",
    "on_grid",
    "read",
    "resampled",
    "resampler",
    "sha256",
    "to_float",
    "to_int16",
]
