"""Recordings that are odd but sound: joined, cut, with several tracks, with channels that cancel, out of scale."""

from collections.abc import Callable

import numpy as np

from pipeline.audio.notes import NoteKind
from tests.support.recordings import encoded, muxed, tracks


def unfinished(wave: np.ndarray) -> bytes:
    """A WAV of a killed recorder: its header states 0 bytes of samples."""
    data = bytearray(encoded(wave))
    data[40:44] = bytes(4)
    return bytes(data)


def joined(wave: np.ndarray, **kind: str) -> bytes:
    """A file, and behind it one with another rate and two channels."""
    return encoded(wave, **kind) + encoded(np.stack([wave, wave], axis=1), 24000, **kind)


def cut(data: bytes) -> bytes:
    """The first 60 % of a file."""
    return data[: len(data) * 6 // 10]


def call(wave: np.ndarray) -> np.ndarray:
    """``[samples, 2]``: two parties that speak in turns of half a second, each with noise on its channel."""
    turns = (np.arange(len(wave)) // 8000 % 2)[:, None] == [0, 1]
    return wave[:, None] * turns + 0.001 * np.random.default_rng(0).standard_normal((len(wave), 2))


def opposite(wave: np.ndarray, noise_db: float = -np.inf) -> np.ndarray:
    """``[samples, 2]``: channels of opposite phase, the second louder, and noise below them."""
    noise = 10 ** (noise_db / 20) * wave.std() * np.random.default_rng(0).standard_normal((len(wave), 2))
    return np.stack([0.9 * wave, -wave], axis=1) + noise


ODD: dict[str, tuple[Callable[[np.ndarray], bytes], list[NoteKind]]] = {
    "joined.mp3": (lambda wave: joined(wave, format="MP3"), []),
    "chained.ogg": (lambda wave: joined(wave, format="OGG", subtype="VORBIS"), []),
    "chained.opus": (lambda wave: joined(wave, format="OGG", subtype="OPUS"), []),
    "rates.aac": (lambda wave: muxed(wave, "adts", "aac") + muxed(wave, "adts", "aac", 24000), []),
    "rates.ts": (lambda wave: muxed(wave, "mpegts", "aac") + muxed(wave, "mpegts", "aac", 24000), []),
    "surround.mov": (lambda wave: muxed(np.stack([wave] * 6, axis=1), "mov", "pcm_s16le"), []),
    "unfinished.wav": (unfinished, [NoteKind.UNFINISHED]),
    "cut.wav": (lambda wave: cut(encoded(wave)), [NoteKind.TRUNCATED]),
    "cut.flac": (lambda wave: cut(encoded(wave, format="FLAC")), [NoteKind.TRUNCATED]),
    "cut.m4a": (lambda wave: cut(muxed(wave, "mp4", "aac", movflags="faststart")), [NoteKind.TRUNCATED]),
    "tracks.mkv": (lambda wave: tracks({"ger": -wave, "eng": wave}, "matroska", "flac", default=1), [NoteKind.TRACKS]),
    "opposite.wav": (lambda wave: encoded(opposite(wave)), [NoteKind.CANCELLING]),
    "call.wav": (lambda wave: encoded(call(wave)), [NoteKind.CALL]),
    "int16.wav": (lambda wave: encoded(np.rint(32768 * wave), subtype="FLOAT"), [NoteKind.SCALED]),
    "overshoot.wav": (lambda wave: encoded(3.9 * wave / np.abs(wave).max(), subtype="FLOAT"), []),
    "overshoot.ogg": (lambda wave: encoded(40 * wave, format="OGG", subtype="VORBIS"), []),
    "wav.raw": (encoded, []),
}
"""Odd recordings by name: how each is made from a wave ``[samples]`` at 16 kHz, and the kinds of its notes."""
