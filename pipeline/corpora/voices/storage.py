"""Storage that a recording has been through: sample rate and codec, applied to clips of both classes alike.

Old games keep speech in 8 bits or as MP3 at 11 kHz, telephone prompts in G.722 or GSM. Without this step such traces
would mean bonafide.
"""

import io
from dataclasses import dataclass

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ

MP3_16_KBPS = 0.9
"""libsndfile's compression level that gives 16 kbit/s at 11,025 Hz, the rate of Amazon Queen's lines."""
DELAYS = {"mp3": 1105, "g722": 22}
"""Samples by which the decoded wave lags behind."""


@dataclass(frozen=True)
class Storage:
    """Sample rate in Hz, and codec: pcm16, pcm8, mp3, vorbis, gsm (06.10, 8 kHz) or g722 (16 kHz)."""

    rate_hz: int
    codec: str


PLAIN = Storage(SAMPLE_RATE_HZ, "pcm16")


def through(wave: np.ndarray, storage: Storage) -> np.ndarray:
    """The wave ``[samples]`` at 16 kHz, within −1…1, as read back from that storage, same shape float32."""
    import soxr

    low = soxr.resample(wave.astype(np.float32), SAMPLE_RATE_HZ, storage.rate_hz)
    low = np.clip(low, -0.99, 0.99)
    lag = DELAYS.get(storage.codec, 0)
    kept = _coded(np.pad(low, (0, lag)), storage)[lag : lag + len(low)]
    high = soxr.resample(kept.astype(np.float32), storage.rate_hz, SAMPLE_RATE_HZ)
    return np.pad(high[: len(wave)], (0, max(len(wave) - len(high), 0)))


def _coded(wave: np.ndarray, storage: Storage) -> np.ndarray:
    if storage.codec == "pcm16":
        return np.rint(wave * 32767) / 32767
    if storage.codec == "pcm8":
        return np.rint(wave * 127) / 127
    if storage.codec == "g722":
        return _g722(wave)
    import soundfile

    kinds = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS"), "gsm": ("WAV", "GSM610")}
    kind, subtype = kinds[storage.codec]
    level = {"compression_level": MP3_16_KBPS, "bitrate_mode": "CONSTANT"} if storage.codec == "mp3" else {}
    file = io.BytesIO()
    soundfile.write(file, wave, storage.rate_hz, format=kind, subtype=subtype, **level)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def _g722(wave: np.ndarray) -> np.ndarray:
    """The wave through FFmpeg's G.722 encoder and decoder."""
    import av

    samples = np.rint(wave * 32767).astype(np.int16)[None]  # (1, samples)
    samples = np.pad(samples, ((0, 0), (0, samples.shape[1] % 2)))
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.format, encoder.layout = SAMPLE_RATE_HZ, "s16", "mono"
    decoder = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = SAMPLE_RATE_HZ, "mono"
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoded = [part.to_ndarray()[0] for packet in packets for part in decoder.decode(packet)]
    return np.concatenate(decoded).astype(np.float32) / 32768
