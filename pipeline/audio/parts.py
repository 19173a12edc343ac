"""Parts of a file that was joined from several: chained Ogg and concatenated MP3.

Decoders read only the first. Each part is a file by itself, perhaps with another sample rate and other channels.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.audio.limits import Source
from pipeline.audio.notes import Note, NoteKind

Bytes = bytes | mmap.mmap
OGG = b"OggS"
FIRST_PAGE = 2
"""Flag of the first page of an Ogg stream."""
TAG = re.compile(rb"ID3[\x02-\x04].{2}([\x00-\x7f]{4})", re.DOTALL)
"""Head of an ID3 tag, with its size in four bytes of seven bits."""
TAG_OR_FRAME = re.compile(rb"ID3|\xff[\xe0-\xff]")
INDEX = re.compile(rb"(?:Xing|Info)(?:\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4}))?|VBRI", re.DOTALL)
"""Start of the index that encoders write into the first frame, with the count of frames if there is one."""
KBIT_S = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of MPEG audio by version (2 also stands for 2.5) and layer (ISO 11172-3 and 13818-3)."""
RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates by the two bits of the version."""


class Frame(NamedTuple):
    """A frame of MPEG audio: its first byte, the first byte after it, and what stays the same within a stream."""

    start: int
    end: int
    kind: tuple[int, int, bool]
    """Layer, sample rate in Hz, and whether it has one channel."""


def split(source: Source, notes: list[Note]) -> Iterator[Source]:
    """The parts of a file, or the file itself if it is not joined; ``notes`` receives what a part lacks."""
    if isinstance(source, bytes):
        yield from _split(source, source, notes)
        return
    with Path(source).open("rb") as file:
        head = file.read(4)
        if not _is_ogg(head) and not _is_mpeg(head):
            yield source
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _split(source, data, notes)


def _split(source: Source, data: Bytes, notes: list[Note]) -> Iterator[Source]:
    starts = ogg_starts(data, notes) if _is_ogg(data[:4]) else mpeg_starts(data, notes) if _is_mpeg(data[:4]) else []
    if len(starts) < 2:
        yield source
        return
    for start, end in zip([0, *starts[1:]], [*starts[1:], len(data)], strict=True):
        yield data[start:end]


def _is_ogg(head: bytes) -> bool:
    return head == OGG


def _is_mpeg(head: bytes) -> bool:
    return head[:3] == b"ID3" or frame(head, 0) is not None


def ogg_starts(data: Bytes, notes: list[Note]) -> list[int]:
    """First byte of each chained Ogg stream; streams that begin together, as sound and picture, are one."""
    starts, at, follows_first = [], 0, False
    while (at := data.find(OGG, at)) >= 0 and at + 27 <= len(data):
        is_first = bool(data[at + 5] & FIRST_PAGE)
        if is_first and not follows_first:
            starts.append(at)
        follows_first = is_first
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if at > len(data):
            notes.append(Note(NoteKind.TRUNCATED, f"the last page lacks {at - len(data)} bytes"))
    return starts


def mpeg_starts(data: Bytes, notes: list[Note]) -> list[int]:
    """First byte of each MPEG audio stream: its tag or index, or the frame at which the kind of frame changes."""
    starts: list[int] = []
    at, last, tag, missing = 0, None, None, 0
    while found := TAG_OR_FRAME.search(data, at):
        at = found.start()
        if head := TAG.match(data, at):
            tag = at if tag is None else tag
            at = head.end() + sum(byte << shift for byte, shift in zip(head[1], (21, 14, 7, 0), strict=True))
            continue
        one = frame(data, at)
        follows = one and last and (at, one.kind) == (last.end, last.kind)
        if not one or not (follows or _is_confirmed(data, one)):
            at += 1
            continue
        index = INDEX.search(data, at, at + 48)
        if not last or one.kind != last.kind or tag is not None or index:
            starts.append(at if tag is None else tag)
            _note_missing(missing, notes)
            missing = int.from_bytes(index[1]) + 1 if index and index[1] else 0
        at, last, tag, missing = one.end, one, None, missing - 1
    _note_missing(missing, notes)
    return starts


def _note_missing(frames: int, notes: list[Note]) -> None:
    """Note what an index counts and a stream lacks; some encoders count the frame of the index."""
    if frames > 1:
        notes.append(Note(NoteKind.TRUNCATED, f"the file holds {frames} frames fewer than its index counts"))


def frame(data: Bytes, at: int) -> Frame | None:
    """The frame of MPEG audio whose header stands at this byte, if there is one."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    rate_hz, bit_s = RATES_HZ[version][rate], 1000 * KBIT_S[1 if version == 3 else 2, layer][bit_rate - 1]
    if layer == 1:
        size = 4 * (12 * bit_s // rate_hz + padding)
    else:
        size = (72 if layer == 3 and version != 3 else 144) * bit_s // rate_hz + padding
    return Frame(at, at + size, (layer, rate_hz, head[3] >> 6 == 3))


def _is_confirmed(data: Bytes, one: Frame) -> bool:
    """Whether this is a frame by what follows: its like, a tag or the end. Other data may look like one header."""
    following = frame(data, one.end)
    return one.end == len(data) or bool(following and following.kind == one.kind)
