"""Lines of a stream: labels that wait for speech, the speech meter against whole recordings, and the summary."""

import pytest

from pipeline.audio import speech
from pipeline.scoring.detector import Detector
from pipeline.streaming.listener import Line, Listener, SpeechMeter, Summary
from pipeline.streaming.steps import Step


def test_labels_wait_for_speech_and_follow_the_threshold(make_model_folder, voice):
    model = make_model_folder()
    listener = Listener(Detector(model), point=model.point(threshold=-1e9), smooth_s=0, hysteresis=0)
    step = Step(end=8000, window=voice[:8000], fresh=voice[:8000], dropped=0, gap=False, arrived=0.0)
    listener._meter.add = lambda fresh, gap: (False, 0.29)
    silent = listener.line(step)
    assert (silent.label, silent.smoothed_score, silent.speech) == ("no_speech", None, False)
    listener._meter.add = lambda fresh, gap: (True, 0.3)
    spoken = listener.line(step)
    assert (spoken.label, spoken.smoothed_score) == ("bonafide", spoken.score)
    strict = Listener(Detector(model), point=model.point(threshold=1e9), smooth_s=0, hysteresis=0)
    strict._meter.add = lambda fresh, gap: (True, 0.3)
    assert strict.line(step).label == "spoof"
    strict._detector.familiarity = lambda embedding: 0.009
    assert (strict.line(step).label, strict.line(step).familiarity) == ("unfamiliar", 0.009)


def test_the_meter_counts_as_for_the_whole_recording(voice):
    meter = SpeechMeter(1.0)
    probabilities = speech.SpeechDetector().probabilities(voice[: len(voice) // 512 * 512])
    for number in range(1, 8):
        spoken, seconds = meter.add(voice[4000 * (number - 1) : 4000 * number])
        chunks = 4000 * number // 512
        last = probabilities[max(0, chunks - 31) : chunks] >= speech.SPEECH_PROBABILITY
        assert seconds == pytest.approx(last.sum() * speech.CHUNK_S)
        fresh = probabilities[4000 * (number - 1) // 512 : chunks] >= speech.SPEECH_PROBABILITY
        assert spoken == fresh.any()


def test_the_meter_forgets_at_a_gap(voice):
    meter, other = SpeechMeter(1.0), SpeechMeter(1.0)
    meter.add(voice[:3000])
    after = meter.add(voice[9000:13000], gap=True)
    assert after[0] == other.add(voice[9000:13000])[0]


def test_summary_counts_missed_deadlines():
    summary = Summary(step_s=0.25)
    for number, latency_ms in enumerate([10.0] * 98 + [240.0, 260.0], 1):
        line = Line(0.25 * number, 0.0, None, "", False, 0.0, latency_ms, int(number == 7))
        summary.add(line, 0.01)
    values = summary.values()
    assert (values["audio_s"], values["steps"], values["dropped"], values["missed_deadlines"]) == (25.0, 100, 1, 1)
    assert values["latency_p50_ms"] == pytest.approx(10, rel=0.03)
    assert values["latency_p99_ms"] == pytest.approx(240, rel=0.03)
    assert values["latency_max_ms"] == 260
    assert values["real_time_factor"] == pytest.approx(0.04)
