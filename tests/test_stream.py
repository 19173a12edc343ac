"""The stream as its user runs it: lines that agree with the detector, pace, overload, the end, and errors."""

import io
import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from pipeline import audio, stream
from pipeline.audio import windows
from pipeline.config import PROJECT_ROOT
from pipeline.errors import AudioError, ConfigError
from pipeline.scoring.detector import Detector


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


def start(model, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.stream", "--model", str(model.folder), *arguments],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lines_of(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]


def wav(wave: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio.to_int16(wave), 16000, format="WAV")
    return file.getvalue()


def test_lines_agree_with_the_detector_on_the_same_windows(model, voice):
    process = start(model, "--pace", "fast")
    output, messages = process.communicate(wav(voice[:23000]), timeout=60)
    assert process.returncode == 0
    lines = lines_of(output)
    ends = [4000, 8000, 12000, 16000, 20000, 23000]
    assert [line["time_s"] for line in lines] == [end / 16000 for end in ends]
    wave = audio.decode(wav(voice[:23000]))
    cut = [windows.cut(wave[max(0, end - 8000) : end], 0, model.config.window) for end in ends]
    expected = model.calibration.apply(Detector(model).window_logits(np.stack(cut)))
    assert [line["score"] for line in lines] == pytest.approx(expected.tolist(), abs=1e-5)
    assert all(line["latency_ms"] > 0 and line["dropped"] == 0 for line in lines)
    (summary,) = lines_of(messages)
    assert (summary["audio_s"], summary["steps"], summary["dropped"]) == (23000 / 16000, 6, 0)
    assert 0 < summary["latency_p50_ms"] <= summary["latency_p99_ms"] <= summary["latency_max_ms"]
    assert summary["real_time_factor"] > 0


def test_a_part_of_a_file_keeps_its_times(model, voice, tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(wav(voice))
    arguments = ["--model", str(model.folder), "--pace", "fast", "--start", "0.5", "--end", "1"]
    assert stream.main(["--input", str(tmp_path / "a.wav"), *arguments]) == 0
    lines = lines_of(capsys.readouterr().out.encode())
    assert [line["time_s"] for line in lines] == [0.75, 1.0]
    with pytest.raises(ConfigError, match="--input - has no known length; name a file"):
        stream.main(arguments)


def test_a_flood_is_answered_with_the_newest_step_and_the_number_skipped(model):
    process = start(model, "--step_s", "0.02", "--format", "s16le", "--rate_hz", "8000", "--channels", "2")
    flood = np.random.default_rng(0).normal(0, 3000, (8000 * 60, 2)).astype("<i2").tobytes()
    output, messages = process.communicate(flood, timeout=60)
    lines, (summary,) = lines_of(output), lines_of(messages)
    assert lines[-1]["time_s"] == 60.0
    assert summary["steps"] == len(lines) < 1500
    assert summary["dropped"] == sum(line["dropped"] for line in lines) == 3000 - len(lines)
    assert b"steps: the model is slower than the audio; take a larger --step_s" in messages


def test_a_stream_that_is_stopped_ends_with_its_summary(model):
    process = start(model)
    process.stdin.write(b"\0" * 16000)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["time_s"] in (0.25, 0.5)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=20)
    assert process.returncode == 0
    assert lines_of(messages)[-1]["steps"] >= 1
    assert b"Traceback" not in messages


def test_a_reader_that_has_gone_ends_it_quietly(model):
    process = start(model, "--pace", "fast")
    process.stdout.close()
    process.stdin.write(b"\0" * 60000)
    process.stdin.close()
    messages = process.stderr.read()
    assert process.wait(timeout=20) == 0
    assert b"Traceback" not in messages
    assert b"BrokenPipe" not in messages


@pytest.mark.usefixtures("tracking_store")
def test_the_summary_is_logged_when_asked(model, voice, tmp_path, capsys):
    import mlflow

    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice[:16000]), 16000)
    arguments = ["--input", str(tmp_path / "a.wav"), "--model", str(model.folder), "--pace", "fast", "--track", "true"]
    assert stream.main(arguments) == 0
    (summary,) = lines_of(capsys.readouterr().err.encode())
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.tags["stage"] == "stream"
    assert run.data.metrics["stream/latency_p99_ms"] == pytest.approx(summary["latency_p99_ms"], abs=1e-5)
    assert run.data.params["stream/pace"] == "fast"


def test_hysteresis_beyond_the_scores_is_cut(model, capsys):
    bounded = replace(model, calibration=replace(model.calibration, lower=-1.75, upper=6.0))
    for asked, margin in ((5.0, 1.0), (0.5, 0.5)):
        assert stream._margin(bounded, 0.25, stream.StreamOptions(hysteresis=asked)) == margin
    assert capsys.readouterr().err == (
        "--hysteresis 5 would fix the label: scores of this model lie between -1.75 and 6.00, the threshold is 0.25; "
        "1.00 is used\n"
    )


def test_a_source_that_cannot_be_decoded_is_named(model):
    with pytest.raises(AudioError, match=r"^--input nowhere\.wav: unreadable: No such file"):
        stream.main(["--input", "nowhere.wav", "--model", str(model.folder)])
