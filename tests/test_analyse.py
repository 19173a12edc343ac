"""Analysis of conversations: each channel as a party, the JSON and the picture, and the errors for bad input."""

import json
import re

import numpy as np
import pytest
import soundfile

from pipeline import analyse, audio
from pipeline.errors import AudioError, ConfigError
from pipeline.metrics.localisation import SegmentPoint
from pipeline.scoring import model_writer
from pipeline.scoring.detector import Detector
from tests.support.talk import talk


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def call(tmp_path, voice):
    """A stereo call: one party speaks, the other is quiet noise."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(voice)).astype(np.float32)
    path = tmp_path / "call $1.wav"
    soundfile.write(path, audio.to_int16(np.stack([voice, noise], axis=1)), 16000)
    return path


def run(model, path, *arguments):
    assert analyse.main([str(path), "--model", str(model.folder), "--output", "found", *arguments]) == 0
    with open("found/timeline.png", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    with open("found/analysis.json") as file:
        return json.load(file)


def timeline_of(model, wave):
    return Detector(model).score_windows(wave, hop_s=0.125)


def test_each_channel_of_a_call_is_a_party(model, call, voice, capsys):
    found = run(model, call, "--threshold", "1e9")
    assert [party["channel"] for party in found["channels"]] == [1, 2]
    wave, _ = soundfile.read(call, dtype="float32")
    for party, channel in zip(found["channels"], wave.T, strict=True):
        scored = timeline_of(model, channel)
        assert party["scores"] == pytest.approx(scored.scores.tolist(), abs=1e-4)
        assert party["times_s"] == scored.times_s.tolist()
        assert party["speech"] == pytest.approx(scored.speech.segments(), abs=1e-3)
        assert party["speech_s"] == pytest.approx(float(scored.speech.seconds(0, len(channel))), abs=1e-3)
        assert len(party["spoofed"]) == int(scored.spoken.any())
    assert found["duration_s"] == 2.0
    assert (found["model_version"], found["window_s"], found["hop_s"]) == ("tiny-1", 0.5, 0.125)
    printed = capsys.readouterr().out
    assert re.search(
        r"channel 2: no_speech, score \S+, 0:00.0 of speech in 0:02.0\n  no segment sounds spoofed", printed
    )


def test_channels_can_be_mixed_and_notes_are_written(model, call, capsys):
    call.write_bytes(call.read_bytes()[:-4000])
    found = run(model, call, "--channels", "mix")
    assert found["notes"] == ["truncated: the header promises 128000 bytes, the file holds 124000"]
    assert capsys.readouterr().out.splitlines()[-5] == found["notes"][0]
    (party,) = found["channels"]
    assert party["channel"] == 0
    assert party["scores"] == pytest.approx(timeline_of(model, audio.decode(call)).scores.tolist(), abs=1e-4)


def test_segments_are_those_of_the_scores(model, voice):
    scored = timeline_of(model, voice)
    assert scored.spoofed_segments(threshold=-1e9) == []
    for found in scored.spoofed_segments(threshold=1e9):
        assert (found.start_s, found.end_s) == (0.0, 2.0)
        assert found.score == pytest.approx(scored.scores[scored.spoken].mean())


def test_segments_have_a_threshold_of_their_own(model, tmp_path):
    path = tmp_path / "talk.wav"
    soundfile.write(path, talk(), 16000)
    never, above = (
        model_writer.derive(model, tmp_path / name, {}, segments=SegmentPoint(threshold, 0.5, 10.0))
        for name, threshold in (("never", -1e9), ("above", 1e9))
    )
    assert [run(above, path)[name] for name in ("threshold", "segment_threshold")] == [0.25, 0.25]
    assert [run(never, path)[name] for name in ("threshold", "segment_threshold")] == [0.25, -1e9]
    assert run(never, path)["channels"][0]["spoofed"] == []
    assert len(run(never, path, "--threshold", "1e9")["channels"][0]["spoofed"]) == 1


def test_bad_input_is_named(model, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match=r"text\.wav: unreadable"):
        analyse.main([str(tmp_path / "text.wav"), "--model", str(model.folder)])
    with pytest.raises(ConfigError, match="--input: expected one recording, found 2"):
        analyse.main(["a.wav", "b.wav", "--model", str(model.folder)])
    with pytest.raises(FileExistsError, match=r"text\.wav"):
        analyse.main(["a.wav", "--output", str(tmp_path / "text.wav")])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (9.96, "0:10.0"), (59.94, "0:59.9"), (61, "1:01.0"), (3723.46, "1:02:03.5")]
)
def test_clock(seconds, shown):
    assert analyse.clock(seconds) == shown


def test_a_part_keeps_the_times_of_the_recording(model, call):
    found = run(model, call, "--start", "0.5", "--end", "1.5")
    party = found["channels"][0]
    assert (found["start_s"], found["duration_s"]) == (0.5, 1.0)
    scored = timeline_of(model, soundfile.read(call, dtype="float32")[0][8000:24000, 0])
    assert party["times_s"] == pytest.approx((scored.times_s + 0.5).tolist())
    assert party["scores"] == pytest.approx(scored.scores.tolist(), abs=1e-4)
    assert 0.5 <= party["worst_start_s"] < party["worst_end_s"] <= 1.5
    with open("found/segments.csv") as file:
        assert file.read() == "channel,start_s,end_s,score,confidence\n"
    with open("found/segments.rttm") as file:
        assert file.read() == ""
    with pytest.raises(ConfigError, match=r"--end 0\.2: expected more than --start"):
        analyse.main([str(call), "--model", str(model.folder), "--start", "0.5", "--end", "0.2"])
