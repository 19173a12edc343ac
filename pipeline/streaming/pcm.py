"""Audio from a stream that cannot be rewound, such as standard input: WAV or raw samples, as mono blocks at 16 kHz.

Used by ``stream``. Reads telephony too: A-law and mu-law, in WAV or raw.
"""

import re
import select
import struct
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline import audio
from pipeline.audio.sndfile import UNKNOWN_SIZE
from pipeline.errors import AudioError, AudioFault

READ_BYTES = 1 << 16
MAX_HEADER_BYTES = 1 << 20
QUIET_S = 0.2
"""Time without audio after which an empty block is yielded."""
SAMPLE_FORMATS = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "f64le": 8, "alaw": 1, "mulaw": 1}
"""Bytes per sample of the raw formats, by their names in FFmpeg."""
WAV_FORMATS = {
    **{(1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le"},
    **{(3, 32): "f32le", (3, 64): "f64le", (6, 8): "alaw", (7, 8): "mulaw"},
}
"""Sample format of a WAV stream, by format tag and bits."""
CONTAINERS = {
    "MP3": rb"ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][^\x00-\x0f\xf0-\xff]",
    "AAC": rb"\xff[\xf0\xf1\xf8\xf9][\x40-\x7f]",
    "FLAC": rb"fLaC",
    "Ogg": rb"OggS",
    "MP4": rb".{4}ftyp",
    "Matroska or WebM": rb"\x1a\x45\xdf\xa3",
    "RF64": rb"RF64|BW64",
    "AIFF": rb"FORM.{4}AIF",
    "AVI": rb"RIFF.{4}AVI",
    "Wave64": rb"riff\x2e\x91\xcf\x11",
    "CAF": rb"caff",
    "AU": rb"\.snd",
    "AMR": rb"#!AMR",
}
"""First bytes of formats that are neither WAV nor raw samples, as patterns."""


class Layout(NamedTuple):
    """Layout of raw samples."""

    sample_format: str
    rate_hz: int
    channels: int


def blocks(file: BinaryIO, raw: Layout) -> Iterator[np.ndarray]:
    """Blocks of a stream: WAV if it begins with that header, otherwise samples laid out as ``raw``.

    ``file`` is unbuffered: ``read`` returns the bytes that have arrived. Raises ``AudioError`` for other containers
    and for a WAV header that it cannot use.
    """
    layout, head, size = raw, _exactly(file, 12), None
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        layout, size = _wav_layout(file)
        head = b""
    elif found := container(head):
        raise AudioError(
            AudioFault.UNREADABLE, f"the stream is {found}, not WAV or raw samples; name the file with --input"
        )
    audio.DEFAULT_LIMITS.check_layout(layout.rate_hz, layout.channels)
    read = _samples(file, head, layout, size)
    averaged = (block.mean(axis=1, dtype=np.float32, keepdims=True) for block in read)
    for block in audio.resampled(averaged, layout.rate_hz):
        yield block[:, 0]
    if size is not None:
        _check_rest(file, size % 2)


def container(head: bytes, *, frames: bool = True) -> str:
    """Name of the format, neither WAV nor raw samples, that begins with these bytes; "" if there is none.

    With ``frames`` also of MP3 and AAC that begin with a frame: two bytes, which quiet µ-law often begins with too.
    """
    found = next((name for name, pattern in CONTAINERS.items() if re.match(pattern, head, re.DOTALL)), "")
    return found if frames or not head.startswith(b"\xff") else ""


class Decoder:
    """Samples of a mono stream of raw bytes, which come in parts cut anywhere, also inside a sample.

    Parameters
    ----------
    layout : of the bytes; one channel.
    """

    def __init__(self, layout: Layout):
        audio.DEFAULT_LIMITS.check_layout(layout.rate_hz, layout.channels)
        self._format, self._resample = layout.sample_format, audio.resampler(layout.rate_hz, 1)
        self.rest = b""

    def add(self, part: bytes) -> np.ndarray:
        """Samples ``[samples]`` float32 at 16 kHz that the next bytes complete; ``rest`` is what remains of them."""
        data = self.rest + part
        whole = len(data) - len(data) % SAMPLE_FORMATS[self._format]
        self.rest = data[whole:]
        return self._at_16_khz(decode(data[:whole], self._format))

    def finish(self) -> np.ndarray:
        """The samples that the resampler still holds."""
        return self._at_16_khz(np.zeros(0, np.float32), last=True)

    def _at_16_khz(self, samples: np.ndarray, **end: bool) -> np.ndarray:
        return audio.on_grid(self._resample(samples[:, None], **end)[:, 0])


def decode(data: bytes, sample_format: str) -> np.ndarray:
    """Raw samples as float32, full scale ±1."""
    if sample_format in ("f32le", "f64le"):
        return np.frombuffer(data, f"<f{SAMPLE_FORMATS[sample_format]}").astype(np.float32)
    if sample_format in ("alaw", "mulaw"):
        return _companded(sample_format)[np.frombuffer(data, "u1")]
    if sample_format == "u8":
        return (np.frombuffer(data, "u1").astype(np.float32) - 128) / 128
    if sample_format == "s24le":
        padded = np.zeros((len(data) // 3, 4), "u1")
        padded[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    size = SAMPLE_FORMATS[sample_format]
    return (np.frombuffer(data, f"<i{size}") / 2.0 ** (8 * size - 1)).astype(np.float32)


@cache
def _companded(law: str) -> np.ndarray:
    """Sample of each byte ``[256]`` by ITU-T G.711."""
    code = np.arange(256) ^ (0x55 if law == "alaw" else 0xFF)
    step, exponent = code & 0x0F, (code & 0x70) >> 4
    if law == "mulaw":
        level = (((step << 3) + 0x84) << exponent) - 0x84
        level = np.where(code & 0x80, -level, level)
    else:
        level = np.where(exponent, ((step << 4) + 0x108) << np.maximum(exponent - 1, 0), (step << 4) + 8)
        level = np.where(code & 0x80, level, -level)
    return (level / 2.0**15).astype(np.float32)


def _exactly(file: BinaryIO, size: int) -> bytes:
    """The next bytes, fewer only at the end of the stream."""
    parts = b""
    while len(parts) < size and (part := file.read(size - len(parts))):
        parts += part
    return parts


def _wav_layout(file: BinaryIO) -> tuple[Layout, int | None]:
    """Read the chunks of a WAV stream up to its samples; return their layout and bytes, ``None`` if unknown."""
    layout, data_size = None, None
    while len(head := _exactly(file, 8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            data_size = size if 0 < size < UNKNOWN_SIZE else None
            break
        if size > MAX_HEADER_BYTES:
            raise AudioError(AudioFault.UNREADABLE, f"a WAV chunk of {size} bytes lies before the samples")
        body = _exactly(file, size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if tag == 0xFFFE and len(body) >= 26:  # extensible: the tag opens the sub-format
                tag = struct.unpack("<H", body[24:26])[0]
            if (tag, bits) not in WAV_FORMATS:
                raise AudioError(
                    AudioFault.UNREADABLE,
                    f"WAV format {tag} of {bits} bits; a stream may be PCM, 32-bit or 64-bit float, A-law or mu-law",
                )
            layout = Layout(WAV_FORMATS[tag, bits], rate_hz, channels)
    if layout is None:
        raise AudioError(AudioFault.UNREADABLE, "a WAV stream without a description of its samples")
    return layout, data_size


def _samples(file: BinaryIO, head: bytes, layout: Layout, size: int | None) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]`` float32 of ``size`` bytes, or up to the end; ``head`` was read before."""
    frame = SAMPLE_FORMATS[layout.sample_format] * layout.channels
    left = size
    while True:
        whole = len(head) - len(head) % frame
        if whole:
            yield decode(head[:whole], layout.sample_format).reshape(-1, layout.channels)
            head = head[whole:]
        if left == 0:
            return
        if not select.select([file], [], [], QUIET_S)[0]:
            yield np.zeros((0, layout.channels), np.float32)
            continue
        part = file.read(READ_BYTES if left is None else min(READ_BYTES, left))
        if not part:
            return
        left = None if left is None else left - len(part)
        head += part


def _check_rest(file: BinaryIO, padding: int) -> None:
    """Read the chunks behind the samples, which hold no sound; raise ``AudioError`` if another WAV follows."""
    _exactly(file, padding)
    while len(head := _exactly(file, 8)) == 8:
        if head[:4] == b"RIFF":
            raise AudioError(AudioFault.UNREADABLE, "another WAV follows the first; stream one at a time")
        left = struct.unpack("<I", head[4:])[0]
        left += left % 2
        while left and (part := file.read(min(READ_BYTES, left))):
            left -= len(part)
