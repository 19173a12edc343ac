"""Opening a recording by the library that knows its format: libsndfile, otherwise FFmpeg."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

BLOCK_SAMPLES = 1 << 16
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,caf,flac,flv,g722,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,"
    "w64,wav"
)
"""Containers that FFmpeg may detect. Playlists are excluded: they name other files and addresses, which FFmpeg would
read."""
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".amr", ".g722", ".wma"}
    | {".aif", ".aiff", ".au", ".mka", ".mkv", ".mov", ".3gp"}
)
"""Suffixes that count as recordings when a folder is searched; a file named explicitly may have any name."""
Source = str | os.PathLike | bytes
PROMISED = re.compile(
    r"^ *(?:RIFF|FORM|SSND|data|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)$", re.MULTILINE
)
"""Size in a header beside the size of the file, in libsndfile's log of the headers of WAV, AIFF, AU, W64 and RF64."""
UNKNOWN_SIZE = 0x7FFF0000
"""Programs that write into a pipe state at least this size, as they cannot know it."""


class Opened(NamedTuple):
    """A recording that is being read; ``notes`` are complete after the last block."""

    rate_hz: int
    channels: int
    blocks: Iterator[np.ndarray]
    """float32 ``[samples, channels]``"""
    notes: list[Note]


def enter(stack: ExitStack, source: Source, mix: bool) -> Opened:
    """Open a recording by the library that knows its format, until the stack closes."""
    import soundfile

    hint = headerless_format(source)
    if not hint:
        try:
            return stack.enter_context(libsndfile(source))
        except soundfile.LibsndfileError:
            pass
    return stack.enter_context(ffmpeg(source, hint, mix=mix))


def headerless_format(source: Source) -> str:
    """FFmpeg's name of a format without a header, taken from the suffix; "" for others."""
    named = not isinstance(source, bytes) and os.fsdecode(source).lower().endswith(".g722")
    return "g722" if named else ""


@contextmanager
def libsndfile(source: Source) -> Iterator[Opened]:
    """Open by libsndfile, which raises ``LibsndfileError`` for other formats."""
    import soundfile

    # By name, libsndfile reads the file itself; an open file would be read through Python, block by block.
    named = io.BytesIO(source) if isinstance(source, bytes) else os.fsencode(source)
    with soundfile.SoundFile(named) as file:
        # Otherwise python-soundfile seeks after every block, which restarts the decoder of Opus and MP3.
        file.seekable = lambda: False
        notes: list[Note] = []
        yield Opened(file.samplerate, file.channels, _soundfile_blocks(file, notes), notes)


@contextmanager
def ffmpeg(source: Source, hint: str, *, mix: bool = True) -> Iterator[Opened]:
    """Open by FFmpeg, as the format ``hint`` if one is given; ``mix`` averages the channels."""
    import av

    try:
        options = {"format_whitelist": FFMPEG_FORMATS, "protocol_whitelist": ""}
        with av.open(_opened(source), format=hint or None, options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(AudioFault.UNREADABLE, "the file has no audio stream")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise AudioError(AudioFault.UNREADABLE, "FFmpeg does not know the codec of the file's audio")
            rate_hz, channels = stream.codec_context.sample_rate or stream.rate, stream.codec_context.channels or 1
            layout = "mono" if mix else stream.codec_context.layout
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
            yield Opened(rate_hz, channels, _ffmpeg_blocks(container, stream, resampler), [])
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(AudioFault.UNREADABLE, f"not audio that libsndfile or FFmpeg can decode ({error})") from None


def _opened(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None


def _soundfile_blocks(file, notes: list[Note]) -> Iterator[np.ndarray]:
    samples = 0
    while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        samples += len(block)
        yield block
    for promised, held in PROMISED.findall(file.extra_info):
        if int(held) < int(promised) < UNKNOWN_SIZE:
            notes.append(Note(NoteKind.TRUNCATED, f"the header promises {promised} bytes, the file holds {held}"))
            return
    if samples < file.frames < UNKNOWN_SIZE:
        notes.append(Note(NoteKind.TRUNCATED, f"the header promises {file.frames} samples, the file holds {samples}"))


def _ffmpeg_blocks(container, stream, resampler) -> Iterator[np.ndarray]:
    for frame in container.decode(stream):
        for converted in resampler.resample(frame):
            yield converted.to_ndarray().T
    for converted in resampler.resample(None):
        yield converted.to_ndarray().T
