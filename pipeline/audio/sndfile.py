"""Decoding by libsndfile: WAV, AIFF, AU, CAF, W64, FLAC, Ogg, Opus and MP3."""

import io
import os
import re
from collections.abc import Iterator

import numpy as np

from pipeline.audio.limits import OVERSHOOT, Limits, Source
from pipeline.audio.notes import Note, NoteKind

BLOCK_SAMPLES = 1 << 16
PROMISED = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)$", re.MULTILINE)
"""Stated and found size of the samples (WAV, AIFF, AU) or of the file (W64, RF64) in libsndfile's log of the header."""
TOLERANCE_BYTES = 64
"""Some programs count the header as samples."""
UNKNOWN_SIZE = 0x7FFF0000
"""Programs that write into a pipe state at least this size, as they cannot know it."""


def blocks(source: Source, limits: Limits, notes: list[Note]) -> Iterator[tuple[int, np.ndarray]]:
    """Sample rate in Hz and float32 ``[samples, channels]``; raises ``LibsndfileError`` for other formats."""
    import soundfile

    # By name, libsndfile reads the file itself; an open file would be read through Python, block by block.
    named = io.BytesIO(source) if isinstance(source, bytes) else os.fsencode(source)
    with soundfile.SoundFile(named) as file:
        limits.check_layout(file.samplerate, file.channels)
        # Otherwise python-soundfile seeks after every block, which restarts the decoder of Opus and MP3.
        file.seekable = lambda: False
        # Decoders of lossy formats overshoot; only files of floats can have another scale.
        is_float = file.subtype in ("FLOAT", "DOUBLE")
        while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
            yield file.samplerate, block if is_float else np.clip(block, -OVERSHOOT, OVERSHOOT)
        notes += _truncated(file.extra_info)


def _truncated(log: str) -> list[Note]:
    for size, held in PROMISED.findall(log):
        if int(held) + TOLERANCE_BYTES < int(size) < UNKNOWN_SIZE:
            return [Note(NoteKind.TRUNCATED, f"the header promises {size} bytes, the file holds {held}")]
    return []
