"""Recordings in every format that is supported, and broken copies of them, the same for the same seed."""

from pathlib import Path

import numpy as np

from tests.support.recordings import encoded, muxed

LIBSNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "wav-float": ("WAV", "FLOAT"),
    "wav-ulaw": ("WAV", "ULAW"),
    "wav-ima": ("WAV", "IMA_ADPCM"),
    "w64": ("W64", "PCM_24"),
    "caf": ("CAF", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
FFMPEG = {
    "m4a": ("mp4", "aac"),
    "mov": ("mov", "pcm_s16le"),
    "3gp": ("3gp", "aac"),
    "aac": ("adts", "aac"),
    "ac3": ("ac3", "ac3"),
    "webm": ("webm", "libopus"),
    "mka": ("matroska", "flac"),
    "wma": ("asf", "wmav2"),
    "flv": ("flv", "aac"),
    "ts": ("mpegts", "mp2"),
    "g722": ("g722", "g722"),
}
SECONDS = 0.6


def seeds() -> dict[str, bytes]:
    """A whole recording in every format, by suffix."""
    rng = np.random.default_rng(0)
    t = np.arange(int(SECONDS * 48000)) / 48000
    wave = (0.3 * np.sin(2 * np.pi * 300 * t * (1 + t)) + 0.01 * rng.standard_normal(len(t))).astype(np.float32)
    found = {name: encoded(wave, 48000, *kind) for name, kind in LIBSNDFILE.items()}
    found |= {
        name: muxed(wave, *kind, 16000 if name == "g722" else 48000, wave_hz=48000) for name, kind in FFMPEG.items()
    }
    # There is no encoder of AMR; frames of its highest rate may hold any bits.
    return found | {"amr": b"#!AMR\n" + b"".join(b"\x3c" + rng.bytes(31) for _ in range(round(SECONDS * 50)))}


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` broken recordings in ``folder``, the formats in turn, each broken in one to four ways."""
    sound, rng, made = seeds(), np.random.default_rng(seed), []
    for number in range(count):
        name = list(sound)[number % len(sound)]
        data = sound[name]
        for _ in range(rng.integers(1, 5)):
            data = _broken(data, sound, rng)
        # The suffix names the format, as some have no header.
        made.append(folder / f"{number:05}.{name}")
        made[-1].write_bytes(data)
    return made


def _broken(data: bytes, others: dict[str, bytes], rng: np.random.Generator) -> bytes:
    """A copy with one fault. Half of the faults hit the header, which holds sizes and rates."""
    if not data:
        return b"\0" * int(rng.integers(64))
    changed, head = bytearray(data), min(len(data), 256)
    at = int(rng.integers(head if rng.random() < 0.5 else len(data)))
    size = int(rng.integers(1, 64))
    match rng.integers(8):
        case 0:
            changed[at] ^= 1 << int(rng.integers(8))
        case 1:
            changed[at : at + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1"])
        case 2:
            del changed[at:]
        case 3:
            del changed[at : at + size]
        case 4:
            changed[at:at] = rng.bytes(size)
        case 5:
            changed[at : at + size] = rng.bytes(size)
        case 6:
            changed[at:at] = changed[at : at + int(rng.integers(1, 4096))]
        case _:
            other = list(others.values())[int(rng.integers(len(others)))]
            changed[at:] = other[int(rng.integers(len(other))) :]
    return bytes(changed)
