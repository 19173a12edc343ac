"""The page's data for a recording: the detector's row, the model's bands, and words that fit the score."""

import base64
import dataclasses
import io

import keras
import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.audio import bands, silero, speech
from pipeline.config import FrontEndConfig
from pipeline.errors import AudioError, AudioFault
from pipeline.metrics.calibration import OperatingPoint
from pipeline.network import front_end as frontend
from pipeline.page import spectrogram, view
from pipeline.page.verdict import verdict
from pipeline.scoring.detector import Detector
from pipeline.scoring.row import Row

EVEN = OperatingPoint(0.25, 0.5, 0.1, 0.1)
RARE = OperatingPoint(-1.0, 0.05, 0.1, 0.1)


@pytest.fixture
def detector(make_model_folder) -> Detector:
    return Detector(make_model_folder())


def encoded(wave, format="WAV", rate_hz=16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format=format)
    return file.getvalue()


@pytest.mark.parametrize("format", ["WAV", "OGG"])
def test_the_row_is_the_detectors(detector, voice, format):
    recording = encoded(np.tile(voice, 3), format)
    shown = view.view(detector, recording, limits=audio.DEFAULT_LIMITS)
    expected = dataclasses.asdict(detector.row("", recording))
    assert shown["row"].pop("latency_ms") > 0
    expected.pop("latency_ms")
    assert shown["row"] == expected


def test_pictures_share_the_recordings_length(detector, voice):
    wave = np.tile(voice, 3)
    shown = view.view(detector, encoded(audio.to_int16(wave)), limits=audio.DEFAULT_LIMITS)
    assert len(shown["waveform"]["low"]) == len(shown["waveform"]["high"]) == view.COLUMNS
    assert min(shown["waveform"]["low"]) == pytest.approx(wave.min(), abs=1e-3)
    picture = shown["spectrogram"]
    assert (picture["bands"], picture["columns"]) == (32, 96000 // 240 + 1)
    assert len(base64.b64decode(picture["levels"])) == picture["bands"] * picture["columns"]
    assert shown["times_s"][0] == 0.25
    assert shown["times_s"][-1] == 5.75
    assert len(shown["times_s"]) == len(shown["scores"]) == len(shown["spoken"]) == 89


def test_long_recordings_show_the_windows_of_the_score(detector, voice):
    shown = view.view(detector, encoded(audio.to_int16(np.tile(voice, 60))), limits=audio.DEFAULT_LIMITS)
    assert shown["times_s"] == [0.25 + 0.25 * k for k in range(479)]


@pytest.mark.parametrize("windows", ["overlapping", "spread", "consecutive", "first"])
def test_every_window_and_chunk_is_computed_once(detector, voice, monkeypatch, windows):
    model = dataclasses.replace(detector.model, config=detector.model.config.replace(windows=windows))
    scored, judged, judge = [], [], silero.Silero.probabilities

    def network(batch):
        scored.extend(batch)
        return detector.window_logits(batch)

    def probabilities(self, streams, memory):
        judged.extend(map(len, streams))
        return judge(self, streams, memory)

    monkeypatch.setattr(silero.Silero, "probabilities", probabilities)
    recording = encoded(audio.to_int16(voice))
    shown = view.view(Detector(model, network=network), recording, limits=audio.DEFAULT_LIMITS)
    assert len(scored) == len({window.tobytes() for window in scored}) == len(shown["scores"]) == 25
    assert 32000 <= sum(judged) < 32000 + 2 * speech.CHUNK_SAMPLES
    assert shown["row"]["score"] == pytest.approx(Detector(model).row("", recording).score, abs=1e-5)


def test_a_recording_that_cannot_be_decoded_has_only_row_and_words(detector):
    shown = view.view(detector, b"nonsense", limits=audio.DEFAULT_LIMITS)
    assert set(shown) == {"row", "verdict", "threshold"}
    assert shown["row"]["score"] is None
    assert shown["verdict"]["tone"] == "error"


def test_the_wav_holds_the_decoded_samples(detector, voice):
    recording = encoded(voice, "OGG", 44100)
    returned, rate_hz = soundfile.read(io.BytesIO(view.wav(recording, detector, limits=audio.DEFAULT_LIMITS)))
    assert rate_hz == 16000
    np.testing.assert_array_equal(returned.astype(np.float32), audio.decode(recording))


@pytest.mark.parametrize(
    "settings",
    [
        {"front_end": "logmel"},
        {"front_end": "logmel", "n_fft": 400, "hop_samples": 133, "n_mels": 40},
        {"front_end": "logspec"},
        {"front_end": "logspec", "n_bands": 0, "fmax_hz": 4000},
    ],
)
def test_bands_are_those_of_the_models_layers(voice, settings):
    config = FrontEndConfig(normalisation="none", **settings)
    waveform = keras.Input((len(voice),))
    model = keras.Model(waveform, frontend.spectrogram(waveform, config))
    expected = model.predict(voice[None], verbose=0)[0]
    np.testing.assert_allclose(bands.in_db(voice, config), expected, atol=0.02)


@pytest.mark.parametrize("front_end", ["logmel", "logspec"])
def test_a_tone_is_drawn_in_the_band_of_its_frequency(front_end):
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    levels, band_hz = spectrogram.picture(tone, FrontEndConfig(front_end=front_end), columns=50)
    assert band_hz[levels[:, 25].argmax()] == pytest.approx(2000, abs=60)


def test_the_picture_shows_the_loudest_frame_of_each_column():
    wave = np.zeros(16000, np.float32)
    wave[8000] = 1.0
    levels, band_hz = spectrogram.picture(wave, FrontEndConfig(front_end="logmel"), columns=10)
    assert levels.shape == (80, 10)
    assert levels.dtype == np.uint8
    assert np.flatnonzero(levels.max(axis=0)).tolist() == [4, 5]
    assert levels.max() == 255
    assert np.all(np.diff(band_hz) > 0)


@pytest.mark.parametrize("samples", [1, 7, 1200, 5000])
def test_the_outline_holds_every_extreme(samples):
    wave = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    found = view.outline(wave, 1200)
    assert found.shape == (min(samples, 1200), 2)
    assert (found.min(), found.max()) == (wave.min(), wave.max())


# Words


def row(score: float, spoof_probability: float, label: str, **values) -> Row:
    return Row("", speech_s=2.0, score=score, spoof_probability=spoof_probability, label=label, **values)


@pytest.mark.parametrize(
    ("score", "label", "tone", "headline"),
    [
        (4.86, "bonafide", "bonafide", "Almost certainly a live human"),
        (2.46, "bonafide", "bonafide", "Very likely a live human"),
        (0.96, "bonafide", "bonafide", "Probably a live human"),
        (0.94, "bonafide", "unsure", "Hard to tell, leaning to live"),
        (-0.44, "spoof", "unsure", "Hard to tell, leaning to fake"),
        (-0.46, "spoof", "spoof", "Probably fake"),
        (-9.0, "spoof", "spoof", "Almost certainly fake"),
    ],
)
def test_degrees_count_from_the_threshold(score, label, tone, headline):
    found = verdict(row(score, 0.5, label), EVEN)
    assert (found.tone, found.headline) == (tone, headline)


@pytest.mark.parametrize(
    ("spoof_probability", "label", "point", "sentence"),
    [
        (0.088, "bonafide", EVEN, "about 91 would be live, if live and fake were equally common."),
        (0.752, "spoof", EVEN, "about 75 would be fake, if live and fake were equally common."),
        (0.004, "bonafide", EVEN, "more than 99 would be live"),
        (0.004, "spoof", RARE, "fewer than 1 would be fake, if 5 in 100 recordings were fake."),
    ],
)
def test_the_sentence_states_the_probability(spoof_probability, label, point, sentence):
    assert sentence in verdict(row(3.0, spoof_probability, label), point).sentence


def test_without_speech_there_is_no_verdict_on_the_voice():
    silent = Row("", speech_s=0.13, score=5.0, spoof_probability=0.01, label="no_speech")
    found = verdict(silent, EVEN)
    assert (found.tone, found.headline) == ("no_speech", "No speech to judge")
    assert "0.1 s" in found.sentence


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (AudioFault.TOO_LONG, "too long for this page"),
        (AudioFault.UNREADABLE, "not look like audio"),
        (AudioFault.REFUSED, "not be read"),
    ],
)
def test_errors_are_put_into_words(fault, words):
    assert words in verdict(Row("", error=str(AudioError(fault, "x"))), EVEN, fault).sentence
