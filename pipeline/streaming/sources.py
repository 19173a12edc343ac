"""Sources of live audio: standard input, a file or a microphone, each as mono float32 blocks at 16 kHz.

Used by ``stream``. A block holds the samples that have arrived. While none arrive, empty blocks are yielded, so that
the reader can stop.
"""

import queue
import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline import audio
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError, AudioFault, ConfigError

STDIN, MICROPHONE = "-", "microphone"
READ_BYTES = 1 << 16
MAX_HEADER_BYTES = 1 << 20
QUIET_S = 0.2
"""Time without audio after which an empty block is yielded."""
SAMPLE_FORMATS = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4}
"""Names of raw sample formats, as FFmpeg calls them, and bytes a sample."""


class Pcm(NamedTuple):
    """How raw samples are laid out."""

    sample_format: str
    rate_hz: int
    channels: int


def pcm(file: BinaryIO, raw: Pcm) -> Iterator[np.ndarray]:
    """Blocks of an unseekable stream: WAV when it begins with that header, else raw samples laid out as ``raw``.

    ``file`` is not buffered: ``read`` returns what has come. Raises ``AudioError`` for a WAV header it cannot take.
    """
    head = _exactly(file, 12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        raw, head = _wav_layout(file), b""
    yield from _mono(_samples(file, head, raw), raw.rate_hz)


def recording(path: Path, *, paced: bool, block_s: float = 0.05) -> Iterator[np.ndarray]:
    """Blocks of a file, as fast as they are decoded or, ``paced``, in real time."""
    size = round(block_s * SAMPLE_RATE_HZ)
    started, samples = time.monotonic(), 0
    for block in audio.blocks(path):
        for first in range(0, len(block), size):
            part = block[first : first + size, 0]
            samples += len(part)
            if paced:
                time.sleep(max(0.0, started + samples / SAMPLE_RATE_HZ - time.monotonic()))
            yield part


def microphone() -> Iterator[np.ndarray]:
    """Blocks from the system's default microphone, without end. Raises ``ConfigError`` if there is none."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"--input microphone: live sound is not at hand ({error}); pip install sounddevice, and on Linux "
            "apt install libportaudio2, or pipe a recorder into --input -"
        ) from None
    captured: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    try:
        with sounddevice.InputStream(
            samplerate=SAMPLE_RATE_HZ,
            channels=1,
            dtype="float32",
            callback=lambda block, *_: captured.put(audio.on_grid(block[:, 0])),
        ):
            while True:
                try:
                    yield captured.get(timeout=QUIET_S)
                except queue.Empty:
                    yield np.zeros(0, np.float32)
    except sounddevice.PortAudioError as error:
        raise ConfigError(f"--input microphone: {error}; check that a microphone is there and may be used") from None


def _exactly(file: BinaryIO, size: int) -> bytes:
    """The next bytes, fewer only at the end of the stream."""
    parts = b""
    while len(parts) < size and (part := file.read(size - len(parts))):
        parts += part
    return parts


def _wav_layout(file: BinaryIO) -> Pcm:
    """Read the chunks of a WAV stream up to its samples."""
    layout = None
    while len(head := _exactly(file, 8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            break
        if size > MAX_HEADER_BYTES:
            raise AudioError(AudioFault.UNREADABLE, f"a WAV chunk of {size} bytes lies before the samples")
        body = _exactly(file, size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if kind == 0xFFFE and len(body) >= 26:  # extensible: the kind opens the sub-format
                kind = struct.unpack("<H", body[24:26])[0]
            layout = Pcm({(1, 8): "u8", (3, 32): "f32le"}.get((kind, bits), f"s{bits}le"), rate_hz, channels)
            if layout.sample_format not in SAMPLE_FORMATS or kind not in (1, 3):
                raise AudioError(
                    AudioFault.UNREADABLE, f"WAV format {kind} of {bits} bits; a stream may be PCM or 32-bit float"
                )
    if layout is None:
        raise AudioError(AudioFault.UNREADABLE, "a WAV stream without a description of its samples")
    return layout


def _samples(file: BinaryIO, head: bytes, raw: Pcm) -> Iterator[np.ndarray]:
    """Blocks ``[samples, channels]`` float32; ``head`` are bytes of the stream that were read before."""
    frame = SAMPLE_FORMATS[raw.sample_format] * raw.channels
    while True:
        whole = len(head) - len(head) % frame
        if whole:
            yield _as_float(head[:whole], raw.sample_format).reshape(-1, raw.channels)
            head = head[whole:]
        if not select.select([file], [], [], QUIET_S)[0]:
            yield np.zeros((0, raw.channels), np.float32)
            continue
        part = file.read(READ_BYTES)
        if not part:
            return
        head += part


def _as_float(data: bytes, sample_format: str) -> np.ndarray:
    if sample_format == "f32le":
        return np.frombuffer(data, "<f4")
    if sample_format == "u8":
        return (np.frombuffer(data, "u1").astype(np.float32) - 128) / 128
    if sample_format == "s24le":
        padded = np.zeros((len(data) // 3, 4), "u1")
        padded[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    bits = 8 * SAMPLE_FORMATS[sample_format]
    return (np.frombuffer(data, f"<i{bits // 8}") / 2.0 ** (bits - 1)).astype(np.float32)


def _mono(read: Iterator[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    averaged = (block.mean(axis=1, dtype=np.float32, keepdims=True) for block in read)
    for block in audio.resampled(averaged, rate_hz):
        yield block[:, 0]
