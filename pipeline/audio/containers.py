"""Choice of the decoder of a file: libsndfile if it knows the format, otherwise FFmpeg."""

import os
from collections.abc import Iterator

import numpy as np

from pipeline.audio import ffmpeg, parts, sndfile
from pipeline.audio.limits import Limits, Source
from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".flac"}
    | {".ogg", ".oga", ".opus", ".spx", ".mp3", ".mp2", ".mpga", ".m4a", ".m4b", ".aac", ".ac3", ".eac3", ".dts"}
    | {".wma", ".amr", ".awb", ".g722", ".wv", ".ape", ".tta"}
    | {".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mka", ".mkv", ".webm", ".ogv", ".avi", ".asf", ".wmv", ".flv"}
    | {".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
)
"""Suffixes that count as recordings when a folder is searched; a file named explicitly may have any name."""


def headerless_format(source: Source) -> str:
    """FFmpeg's name of a format without a header, taken from the suffix; "" for others."""
    named = not isinstance(source, bytes) and os.fsdecode(source).lower().endswith(".g722")
    return "g722" if named else ""


def blocks(source: Source, limits: Limits, notes: list[Note]) -> Iterator[tuple[int, np.ndarray]]:
    """Sample rate in Hz and float32 ``[samples, channels]`` of each block of a recording, part by part.

    ``notes`` receives the notes, complete after the last block. Raises ``AudioError``, also for whatever a decoder
    raises.
    """
    hint = headerless_format(source)
    try:
        for part in [source] if hint else parts.split(source, notes):
            yield from _of_part(part, hint, limits, notes)
    except OSError as error:
        raise AudioError(AudioFault.UNREADABLE, error.strerror or str(error)) from None
    except Exception as error:
        raise AudioError.of(error) from None


def _of_part(source: Source, hint: str, limits: Limits, notes: list[Note]) -> Iterator[tuple[int, np.ndarray]]:
    import soundfile

    done, is_empty = 0, False
    if not hint:
        try:
            for rate_hz, block in sndfile.blocks(source, limits, notes):
                done += len(block)
                yield rate_hz, block
            if done:
                return
            is_empty = True
        except (soundfile.LibsndfileError, TypeError):  # TypeError: of a file named .raw, it asks for the layout
            pass  # FFmpeg knows more formats; its error is the one to report
    try:
        for rate_hz, block in ffmpeg.blocks(source, hint, limits, notes):
            if is_empty:
                notes.append(Note(NoteKind.UNFINISHED, "the header promises no samples, the file was read to its end"))
                is_empty = False
            skipped = min(done, len(block))
            done -= skipped
            if skipped < len(block):
                yield rate_hz, block[skipped:]
    except AudioError:
        if not is_empty:
            raise
