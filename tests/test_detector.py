"""The detector: the same logits as Keras, one at a time or together, and the rows they become."""

import math

import numpy as np
import pytest
import soundfile

from pipeline import audio, detector
from pipeline.detector import Detector


@pytest.fixture
def loaded(make_bundle) -> Detector:
    return Detector(make_bundle())


def test_window_logits_are_those_of_keras(loaded, tiny_model):
    windows = np.random.default_rng(0).normal(0, 0.1, (37, 8000)).astype(np.float32)
    expected = tiny_model[0].predict(windows, verbose=0)[:, 0]
    np.testing.assert_allclose(loaded.window_logits(windows), expected, atol=1e-3)


def test_utterances_score_alike_alone_and_together(loaded):
    rng = np.random.default_rng(1)
    waves = [rng.normal(0, 0.1, n).astype(np.float32) for n in (3000, 8000, 20000, 100, 150000)]
    together = list(loaded.utterance_logits(iter(waves)))
    assert together == pytest.approx([loaded.utterance_logit(w) for w in waves], abs=1e-5)


def test_utterance_logit_is_the_mean_over_windows(loaded):
    wave = np.random.default_rng(2).normal(0, 0.1, 14000).astype(np.float32)
    parts = np.stack([wave[:8000], wave[4000:12000], wave[6000:14000]])
    assert loaded.utterance_logit(wave) == pytest.approx(loaded.window_logits(parts).mean(), abs=1e-5)


def test_row_of_a_recording(loaded, voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice), 16000)
    row = loaded.row("a.wav", tmp_path / "a.wav")
    wave = audio.decode(tmp_path / "a.wav")
    assert row.score == pytest.approx(2 * loaded.utterance_logit(wave) - 0.5)
    assert row.spoof_probability == pytest.approx(1 / (1 + math.exp(row.score)))
    assert (row.start_s, row.end_s, row.duration_s) == (0.0, 2.0, 2.0)
    assert row.model_version == "tiny-1"
    assert row.latency_ms > 0
    assert row.error == ""


def test_label_follows_threshold_and_speech(loaded, voice, monkeypatch):
    from pipeline import speech

    data = audio.to_int16(voice)
    buffer = __import__("io").BytesIO()
    soundfile.write(buffer, data, 16000, format="WAV")
    monkeypatch.setattr(speech, "speech_s", lambda wave: 1.0)
    score = loaded.row("x", buffer.getvalue()).score
    assert loaded.row("x", buffer.getvalue(), threshold=score - 0.1).label == "bonafide"
    assert loaded.row("x", buffer.getvalue(), threshold=score + 0.1).label == "spoof"
    monkeypatch.setattr(speech, "speech_s", lambda wave: 0.29)
    silent = loaded.row("x", buffer.getvalue())
    assert silent.label == detector.NO_SPEECH
    assert silent.score == pytest.approx(score)


def test_what_cannot_be_decoded_gets_its_error_and_no_score(loaded):
    row = loaded.row("x", b"nonsense")
    assert row.error.startswith("unreadable")
    assert (row.score, row.spoof_probability, row.label) == (None, None, "")


@pytest.mark.parametrize(
    ("score", "prior", "expected"),
    [(0.0, 0.5, 0.5), (math.log(3), 0.5, 0.25), (0.0, 0.05, 0.05), (-1e6, 0.5, 1.0), (1e6, 0.5, 0.0)],
)
def test_spoof_probability_is_bayes_rule(score, prior, expected):
    assert detector.spoof_probability(score, prior) == pytest.approx(expected)


def test_speech_is_measured_in_silence_and_noise():
    from pipeline import speech

    rng = np.random.default_rng(0)
    assert speech.speech_s(np.zeros(32000, np.float32)) == 0.0
    assert speech.speech_s(0.05 * rng.standard_normal(32000).astype(np.float32)) < 0.3
