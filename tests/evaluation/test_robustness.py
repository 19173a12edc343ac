"""Robustness: each degradation does what it says, measured by numpy, and a sweep is the same for the same seed."""

import numpy as np
import pandas as pd
import pytest

from pipeline import metrics
from pipeline.audio import codecs
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.evaluation import robustness
from pipeline.evaluation.robustness import CODECS, Clip
from pipeline.metrics.calibration import Calibration
from pipeline.scoring.detector import Detector


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("snr_db", robustness.SNR_DB)
@pytest.mark.parametrize("noise", [robustness.white, robustness.pink])
def test_noise_lies_at_the_ratio_it_is_asked_for(voice, noise, snr_db):
    wave = 0.3 * voice
    added = robustness.mixed(wave, noise(len(wave), rng()), snr_db) - wave
    assert 10 * np.log10(np.mean(wave**2) / np.mean(added**2)) == pytest.approx(snr_db, abs=0.1)


def test_a_mix_that_would_clip_is_turned_down_as_a_whole(voice):
    loud = voice / np.abs(voice).max()
    noise = robustness.white(len(voice), rng())
    found = robustness.mixed(loud, noise, 0)
    assert np.abs(found).max() == pytest.approx(1, abs=1e-4)
    straight = loud + noise * np.sqrt(np.mean(loud**2) / np.mean(noise**2))
    assert np.corrcoef(found, straight)[0, 1] > 0.99999


def test_white_is_even_over_hertz_and_pink_over_octaves():
    def octaves(wave: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(wave)) ** 2
        hz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE_HZ)
        return np.array([power[(hz >= low) & (hz < 2 * low)].sum() for low in (125, 250, 500, 1000, 2000, 4000)])

    white, pink = (10 * np.log10(octaves(make(160_000, rng()))) for make in (robustness.white, robustness.pink))
    assert np.diff(white) == pytest.approx([10 * np.log10(2)] * 5, abs=0.4)
    assert np.diff(pink) == pytest.approx([0] * 5, abs=0.4)


def test_babble_gives_every_voice_the_same_power():
    voices = [np.sin(2 * np.pi * hz * np.arange(8000) / 16000) * gain for hz, gain in ((500, 0.9), (1000, 0.01))]
    power = np.abs(np.fft.rfft(robustness.babble(16000, voices, rng()))) ** 2
    assert power[500] == pytest.approx(power[1000], rel=1e-6)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_keep_what_was_said_and_not_the_samples(voice, name):
    found = robustness.degradations()["codec", name](Clip(0.5 * voice, (0, 0), ()))
    assert abs(len(found) - len(voice)) <= 320
    size = min(len(found), len(voice)) // 400 * 400
    spectra = [np.abs(np.fft.rfft(w[:size].reshape(-1, 400) * np.hanning(400)))[:, 2:80] for w in (found, 0.5 * voice)]
    assert np.corrcoef(*(np.log(s + 1e-2).ravel() for s in spectra))[0, 1] > 0.9
    assert not np.array_equal(found[:size], (0.5 * voice)[:size])


def test_mu_law_is_a_telephone(voice):
    noise = (0.1 * robustness.white(32000, rng())).astype(np.float32)
    power = np.abs(np.fft.rfft(codecs.through(noise, CODECS["µ-law 8 kHz"]))) ** 2
    assert power[9000:].sum() < 0.01 * power[:7000].sum()


def test_middles_and_gains():
    wave = np.arange(-16000, 16000) / 32768
    assert robustness.middle(wave, 0.5).tolist() == wave[12000:20000].tolist()
    assert robustness.middle(wave, 4).tolist() == wave.tolist()
    assert robustness.amplified(wave, -20) == pytest.approx(wave / 10, abs=1 / 65536 + 1e-9)
    loud = robustness.amplified(wave, 20)
    assert (loud.min(), loud.max()) == (-1, 32767 / 32768)
    assert loud[16000:16320] == pytest.approx(10 * wave[16000:16320], abs=1e-4)


@pytest.fixture
def swept(make_model_folder, synthetic_store):
    model = make_model_folder()
    return model, robustness.sweep(model, synthetic_store, "eval", most_trials=24)


def test_a_sweep_has_every_condition_and_begins_with_the_clean_eer(swept, synthetic_store):
    model, found = swept
    assert list(found) == ["condition", "value", "eer", "eer_low", "eer_high", "trials"]
    assert list(zip(found["condition"], found["value"], strict=True)) == list(robustness.degradations())
    assert found["trials"].nunique() == 1
    rows = robustness._rows(synthetic_store, "eval", 0, 24)
    assert len(rows) == found["trials"].iloc[0] <= 25
    labels = (synthetic_store.manifest["label"].iloc[rows] == "bonafide").to_numpy()
    waves = (synthetic_store.waveform(row) for row in rows)
    logits = np.fromiter(Detector(model).utterance_logits(waves), float)
    assert found["eer"].iloc[0] == metrics.eer(Calibration(1.0, 0.0).apply(logits), labels)
    names = robustness.mlflow_metrics(found, "eval")
    ten = found.query("condition == 'babble' and value == '10 dB'")["eer"].item()
    assert names["eval/robustness/babble/10_dB/eer"] == ten
    assert "eval/robustness/codec/u-law_8_kHz/eer" in names
    pd.testing.assert_frame_equal(robustness.sweep(model, synthetic_store, "eval", most_trials=24), found)


def test_the_same_noise_is_heard_at_every_ratio_and_another_by_every_trial(voice):
    clip = Clip(0.3 * voice, (0, 5), ())
    by_ratio = [robustness.degradations()["white noise", f"{snr} dB"](clip) for snr in (30, 10)]
    added = [wave - 0.3 * voice for wave in by_ratio]
    assert np.corrcoef(*added)[0, 1] > 0.99
    other = robustness.degradations()["white noise", "10 dB"](Clip(0.3 * voice, (0, 6), ())) - 0.3 * voice
    assert abs(np.corrcoef(added[1], other)[0, 1]) < 0.05
