"""Channel of the demo corpus: drawn alike for all clips, and the effect of each setting."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.demo import channel

SETTINGS = channel.Settings(0.2, 0.3, -26.0, 30.0, 0.5, 150.0, 5000.0, "none")


def level_db(wave: np.ndarray) -> float:
    return 10 * np.log10(np.mean(wave.astype(np.float64) ** 2))


def share_above(wave: np.ndarray, edge_hz: float) -> float:
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    return power[np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE_HZ) > edge_hz].sum() / power.sum()


def render(wave: np.ndarray, settings: channel.Settings) -> np.ndarray:
    return channel.apply(wave, settings, np.random.default_rng(1))


def test_trim_cuts_frames_far_under_the_loudest(voice):
    quiet = np.full(1600, 0.5 * 10 ** (-60 / 20), np.float32)
    kept = channel.trim(np.concatenate([quiet, voice, quiet]))
    assert len(voice) <= len(kept) <= len(voice) + channel.FRAME_SAMPLES
    np.testing.assert_array_equal(kept[: len(voice)], voice)


def test_rumble_under_the_voice_does_not_count_as_speech(voice):
    rumble = 0.3 * np.sin(2 * np.pi * 40 * np.arange(8000) / SAMPLE_RATE_HZ).astype(np.float32)
    assert len(channel.trim(np.concatenate([rumble, voice, rumble]))) < len(voice) + 1600


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros(4000, np.float32)])
def test_trim_leaves_silence_as_it_is(wave):
    assert len(channel.trim(wave)) == len(wave)


def test_a_clip_is_its_speech_between_the_pads(voice):
    clip = render(voice, SETTINGS)
    assert clip.dtype == np.int16
    assert len(clip) == len(voice) + round(0.5 * SAMPLE_RATE_HZ)


def test_short_speech_is_padded_to_a_second(voice):
    assert len(render(voice[:3200], SETTINGS)) == SAMPLE_RATE_HZ


def test_level_does_not_depend_on_the_recording(voice):
    np.testing.assert_allclose(render(0.01 * voice, SETTINGS), render(voice, SETTINGS), atol=1)
    assert level_db(render(voice, SETTINGS)[4000:-6000] / 32768) == pytest.approx(-26, abs=0.7)


def test_pads_hold_the_noise_floor(voice):
    clip = render(voice, replace(SETTINGS, snr_db=20.0)) / 32768
    assert level_db(clip[400:2800]) == pytest.approx(-46, abs=1)
    assert level_db(clip[-2800:-400]) == pytest.approx(-46, abs=1)


def test_no_power_is_above_the_upper_edge(voice):
    clip = render(voice, replace(SETTINGS, low_pass_hz=3400.0))
    assert share_above(clip, 4500) < 1e-4
    assert share_above(render(voice, replace(SETTINGS, low_pass_hz=6800.0)), 4500) > 1e-4


@pytest.mark.parametrize(("codec", "error_db"), [("none", -200), ("mulaw", -25), ("mp3", -15), ("vorbis", -15)])
def test_codecs_keep_length_time_and_most_of_the_wave(voice, codec, error_db):
    coded = channel.code(voice.astype(np.float64), codec)
    assert coded.shape == voice.shape
    assert level_db(coded - voice + 1e-12) - level_db(voice) < error_db


def test_mulaw_is_that_of_g711():
    # Compression of 255: an amplitude of 1/255·(sqrt(256) − 1) lies half way up the scale.
    middle = (np.sqrt(256) - 1) / 255
    assert channel.code(np.array([0.0, 1.0, -1.0]), "mulaw") == pytest.approx([0, 1, -1])
    assert channel.code(np.array([middle]), "mulaw")[0] == pytest.approx(middle, rel=0.03)


def test_a_narrow_clip_differs_only_in_the_band():
    narrow = [channel.draw(np.random.default_rng(i), narrow=True) for i in range(300)]
    wide = [channel.draw(np.random.default_rng(1000 + i), narrow=False) for i in range(300)]
    assert max(s.low_pass_hz for s in narrow) <= 3700
    assert np.mean([s.low_pass_hz <= 3700 for s in wide]) == pytest.approx(0.3, abs=0.08)
    for name in ("lead_s", "trail_s", "level_dbfs", "snr_db", "noise_tilt", "high_pass_hz"):
        a, b = ([getattr(s, name) for s in settings] for settings in (narrow, wide))
        assert abs(np.mean(a) - np.mean(b)) < 0.3 * np.std(a + b), name
    assert {s.codec for s in narrow} == {s.codec for s in wide} == set(channel.CODECS)


def test_a_telephone_band_is_recognised(voice):
    noise = np.random.default_rng(0).normal(size=32000)
    assert not channel.is_narrow(noise)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE_HZ) > 3400] = 0
    assert channel.is_narrow(np.fft.irfft(spectrum))


def test_the_same_draw_gives_the_same_clip(voice):
    clips = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        clips.append(channel.apply(voice, channel.draw(rng, narrow=False), rng))
    np.testing.assert_array_equal(*clips)
