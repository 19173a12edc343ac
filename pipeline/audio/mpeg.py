"""Streams of MPEG audio (MP3, MP2) joined in a file, found by its frames, tags and indexes."""

import mmap
import re
from collections.abc import Iterator
from functools import lru_cache

from pipeline.audio.notes import Note, NoteKind

TAG = re.compile(rb"ID3[\x02-\x04].{2}([\x00-\x7f]{4})", re.DOTALL)
"""Head of an ID3 tag, with its size in four bytes of seven bits."""
TAG_OR_FRAME = re.compile(rb"ID3|\xff[\xe2-\xff][\x10-\xef]")
INDEX = re.compile(rb"(?:Xing|Info)(?:\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4}))?|VBRI", re.DOTALL)
"""Start of the index that encoders write into the first frame, with the count of frames if there is one."""
INDEX_BYTES = 48
"""Part of a frame in which the index begins."""
MAX_JUNK_BYTES = 1 << 20
"""Bytes between frames that are searched for the next one, in all."""
KBIT_S = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version (2 also stands for 2.5) and layer (ISO 11172-3 and 13818-3)."""
RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates by the two bits of the version."""

Kind = tuple[int, int, bool]
"""Layer, sample rate in Hz, and whether there is one channel: the same in all frames of a stream."""


def begins(head: bytes) -> bool:
    """Whether a file with these first four bytes may be MPEG audio."""
    return head[:3] == b"ID3" or header(head) is not None


def starts(data: bytes | mmap.mmap, notes: list[Note]) -> Iterator[int]:
    """First byte of each stream: its tag or index, or the frame at which the kind of frame changes.

    ``notes`` receives what a stream lacks of the frames that its index counts.
    """
    at = end = missing = junk = 0
    kind, tag = None, None
    while junk < MAX_JUNK_BYTES and (candidate := TAG_OR_FRAME.search(data, at, at + MAX_JUNK_BYTES)):
        junk += candidate.start() - at
        at = candidate.start()
        if head := TAG.match(data, at):
            tag = at if tag is None else tag
            at = head.end() + sum(byte << shift for byte, shift in zip(head[1], (21, 14, 7, 0), strict=True))
            continue
        size, this = header(data[at : at + 4]) or (0, None)
        if not this or not ((at, this) == (end, kind) or _is_confirmed(data, at + size, this)):
            at, junk = at + 1, junk + 1
            continue
        index = INDEX.search(data, at, at + INDEX_BYTES)
        if this != kind or tag is not None or index:
            yield at if tag is None else tag
            _note_missing(missing, notes)
            missing = int.from_bytes(index[1]) + 1 if index and index[1] else 0
        at = end = at + size
        kind, tag, missing = this, None, missing - 1
    _note_missing(missing, notes)


@lru_cache(maxsize=4096)
def header(head: bytes) -> tuple[int, Kind] | None:
    """Bytes and kind of the frame with this header of four bytes; None for other bytes."""
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
    return size, (layer, rate_hz, head[3] >> 6 == 3)


def _is_confirmed(data: bytes | mmap.mmap, end: int, kind: Kind) -> bool:
    """Whether a frame like it or the end of the file follows. Other data may look like one header by chance."""
    following = header(data[end : end + 4])
    return end == len(data) or bool(following and following[1] == kind)


def _note_missing(frames: int, notes: list[Note]) -> None:
    """Note missing frames; one may be the frame of the index, which some encoders count."""
    if frames > 1:
        notes.append(Note(NoteKind.TRUNCATED, f"the file holds {frames} frames fewer than its index counts"))
