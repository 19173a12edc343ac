"""Vocoders and simulated replay of the demo corpus: copies keep the speech, and change what an attack changes."""

import numpy as np
import pytest

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.demo import plan, replay, vocoders
from pipeline.corpora.demo.channel import frame_power

COPIES = [vocoders.linear_prediction, vocoders.griffin_lim]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def envelope(wave: np.ndarray) -> np.ndarray:
    """Level of 10 ms frames in dB."""
    return 10 * np.log10(frame_power(wave) + 1e-9)


@pytest.fixture
def syllables(voice) -> np.ndarray:
    """The voice in four bursts per second, with near silence between."""
    t = np.arange(len(voice)) / SAMPLE_RATE_HZ
    return (voice * np.clip(np.sin(2 * np.pi * 2 * t), 0.003, 1)).astype(np.float32)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_keeps_length_and_loudness_but_not_the_waveform(copy, syllables):
    copied = copy(syllables, rng())
    assert copied.shape == syllables.shape
    assert copied.dtype == np.float32
    assert np.isfinite(copied).all()
    assert np.corrcoef(envelope(copied), envelope(syllables))[0, 1] > 0.85
    assert np.sum((copied - syllables) ** 2) > 0.05 * np.sum(syllables**2)


@pytest.mark.parametrize("copy", COPIES)
def test_copies_repeat_by_seed_and_survive_silence(copy, syllables):
    np.testing.assert_array_equal(copy(syllables, rng()), copy(syllables, rng()))
    assert np.abs(copy(np.zeros(8000, np.float32), rng())).max() < 1e-3


def test_linear_prediction_keeps_the_pitch():
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    wave = sum(np.sin(2 * np.pi * 125 * k * t) / k for k in range(1, 12)).astype(np.float32)
    copied = vocoders.linear_prediction(wave, rng())
    spectrum = np.abs(np.fft.rfft(copied * np.hanning(len(copied))))
    harmonic = [spectrum[125 * k - 4 : 125 * k + 5].max() for k in range(1, 6)]
    between = [spectrum[125 * k + 50 : 125 * k + 75].max() for k in range(1, 6)]
    assert np.median(np.array(harmonic) / between) > 5


def test_configurations_name_known_devices_and_two_are_held_for_eval():
    configurations = replay.SEEN + replay.EVAL_ONLY
    assert len(set(configurations)) == len(configurations) >= 6
    assert len(replay.EVAL_ONLY) == 2
    for environment, playback, recorder in configurations:
        assert environment in replay.ROOMS
        assert playback in replay.LOUDSPEAKERS
        assert recorder in replay.RECORDERS
    assert not set(plan.CODES.values()) & set(configurations)


@pytest.mark.parametrize("configuration", replay.SEEN + replay.EVAL_ONLY)
def test_replay_keeps_length_and_leaves_the_loudspeakers_band(configuration, syllables):
    heard = replay.replay(syllables, configuration, rng())
    assert heard.shape == syllables.shape
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() == pytest.approx(1)
    assert np.corrcoef(envelope(heard), envelope(syllables))[0, 1] > 0.5


def test_a_small_loudspeaker_plays_no_bass():
    noise = rng().normal(size=SAMPLE_RATE_HZ).astype(np.float32)
    power = np.abs(np.fft.rfft(replay.replay(noise, ("E01", "P11", "R01"), rng()))) ** 2  # bins of 1 Hz
    assert power[50:150].mean() < 0.01 * power[1000:3000].mean()


def test_rooms_reverberate_for_their_stated_time():
    for room in replay.ROOMS.values():
        response = replay.response(room, rng())
        assert len(response) == int(room.rt60_s * SAMPLE_RATE_HZ)
        tail = np.sum(response[1:] ** 2)
        assert 10 * np.log10(response[0] ** 2 / tail) == pytest.approx(room.direct_db)
        left = np.cumsum(response[::-1] ** 2)[::-1]  # Schroeder's backward integral
        fifth = len(response) // 5
        fall_db = 10 * np.log10(left[2 * fifth] / left[fifth])
        assert fall_db == pytest.approx(-12, abs=2), "60 dB in the whole is 12 dB in a fifth"
