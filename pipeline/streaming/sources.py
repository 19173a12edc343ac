"""Sources of live audio: standard input, a file or a microphone, each as mono float32 blocks at 16 kHz.

Used by ``stream``. A block holds the samples that have arrived. While none arrive, empty blocks are yielded, so that
the reader can stop.
"""

import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import ConfigError
from pipeline.streaming.pcm import QUIET_S

STDIN, MICROPHONE = "-", "microphone"


def recording(
    path: Path, *, paced: bool, block_s: float = 0.05, span: audio.Span = audio.WHOLE
) -> Iterator[np.ndarray]:
    """Blocks of a file or a part of it, as fast as they are decoded or, ``paced``, in real time.

    Notes go to standard error.
    """
    size = round(block_s * SAMPLE_RATE_HZ)
    started, samples, notes = time.monotonic(), 0, []
    for block in audio.blocks(path, notes=notes, span=span):
        for first in range(0, len(block), size):
            part = block[first : first + size, 0]
            samples += len(part)
            if paced:
                time.sleep(max(0.0, started + samples / SAMPLE_RATE_HZ - time.monotonic()))
            yield part
    for note in notes:
        print(f"{path}: {note}", file=sys.stderr)


def microphone() -> Iterator[np.ndarray]:
    """Endless blocks from the system's default microphone; raises ``ConfigError`` if there is none."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"--input microphone: sounddevice cannot be used ({error}); pip install sounddevice, and on Linux "
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
        raise ConfigError(f"--input microphone: {error}; check that a microphone is connected and permitted") from None
