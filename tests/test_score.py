"""Batch scoring as its user runs it: files and folders in, table and file out, exit status, start-up."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from pipeline import audio, metrics, score
from pipeline.audio import windows
from pipeline.config import PROJECT_ROOT
from pipeline.errors import ConfigError, ModelFolderError, ProjectError
from pipeline.scoring import model_folders
from pipeline.scoring import workers as score_workers
from pipeline.scoring.detector import Detector
from pipeline.scoring.row import COLUMNS


@pytest.fixture
def recordings(tmp_path, voice):
    folder = tmp_path / "recordings"
    (folder / "inner").mkdir(parents=True)
    soundfile.write(folder / "a.wav", audio.to_int16(voice), 16000)
    soundfile.write(folder / "inner" / "b.flac", audio.to_int16(voice[::-1].copy()), 16000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_a_folder_is_searched_and_a_table_printed(recordings, make_model_folder, capsys):
    assert score.main([str(recordings), "--model", str(make_model_folder().folder)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["file", "label", "score", "P(spoof)", "speech", "length"]
    assert len(lines) == 3
    assert "2.0 s" in lines[1]
    assert "model tiny-1, bonafide from a score of +0.25 on (eer)" in captured.err


def test_operating_point_and_threshold_are_shown(recordings, make_model_folder, capsys):
    model = str(make_model_folder().folder)
    score.main([str(recordings), "--model", model, "--operating_point", "min_dcf"])
    assert "+1.50 on (min_dcf)" in capsys.readouterr().err
    score.main([str(recordings), "--model", model, "--threshold", "-3"])
    assert "-3.00 on (given)" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_row_and_column_is_written(recordings, make_model_folder, tmp_path, suffix):
    output = tmp_path / "out" / f"scores{suffix}"
    status = score.main(
        [
            str(recordings),
            str(tmp_path / "gone.wav"),
            "--model",
            str(make_model_folder().folder),
            "--output",
            str(output),
        ]
    )
    assert status == 1
    if suffix == ".parquet":
        table = pd.read_parquet(output).to_dict("records")
    elif suffix == ".jsonl":
        table = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        table = list(csv.DictReader(output.open()))
    assert list(table[0]) == list(COLUMNS)
    assert [row["source"].split("/")[-1] for row in table] == ["a.wav", "b.flac", "gone.wav"]
    assert table[2]["error"] == "unreadable: No such file or directory"
    assert table[2]["score"] in (None, "") or pd.isna(table[2]["score"])
    assert float(table[0]["duration_s"]) == 2.0


def test_nothing_to_score_and_no_model_are_named(tmp_path, recordings, monkeypatch):
    with pytest.raises(ConfigError, match="--input: name audio files, folders"):
        score.main([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"nothing to score in .*empty"):
        score.main([str(tmp_path / "empty")])
    monkeypatch.setattr(model_folders, "PRETRAINED", tmp_path / "lost")
    with pytest.raises(ModelFolderError, match=r"no model: .*whisper comes with the project and is missing"):
        score.main([str(recordings)])


def test_an_output_of_another_kind_is_refused(recordings, make_model_folder):
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.jsonl, \.parquet"):
        score.main([str(recordings), "--model", str(make_model_folder().folder), "--output", "scores.txt"])
    (recordings / "rows.csv").mkdir()
    with pytest.raises(ConfigError, match=r"rows\.csv: a folder of that name exists; name a file"):
        score.main([str(recordings), "--model", str(make_model_folder().folder), "--output", f"{recordings}/rows.csv"])


def test_a_cold_start_imports_neither_tensorflow_nor_pandas(recordings, make_model_folder):
    code = (
        "import sys; from pipeline import score;"
        f"score.main([{str(recordings / 'a.wav')!r}, '--model', {str(make_model_folder().folder)!r}]);"
        "print([m for m in ('tensorflow', 'keras', 'pandas', 'mlflow', 'librosa', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_the_options():
    command = [sys.executable, "-m", "pipeline.score", "--help"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert "--operating_point" in done.stdout


@pytest.fixture
def many(tmp_path, voice):
    """Twelve different recordings, and one that is none."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(12):
        wave = np.roll(voice, 997 * number)[: 9000 + 1500 * number] * (0.4 + 0.05 * number)
        soundfile.write(folder / f"{number:02}.wav", audio.to_int16(wave), 16000)
    (folder / "05b.wav").write_bytes(b"no audio")
    return folder


def jsonl(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_cores_give_the_rows_of_one_in_order(many, make_model_folder, tmp_path):
    model = make_model_folder()
    command = [str(many), "--model", str(model.folder), "--output"]
    assert score.main([*command, str(tmp_path / "one.jsonl"), "--processes", "1"]) == 1
    assert score.main([*command, str(tmp_path / "two.jsonl"), "--processes", "2"]) == 1
    one, two = jsonl(tmp_path / "one.jsonl"), jsonl(tmp_path / "two.jsonl")
    assert [row["source"] for row in two] == sorted(str(path) for path in many.iterdir())
    detector = Detector(model)
    for row, other in zip(one, two, strict=True):
        wanted = vars(detector.row(row["source"], row["source"]))
        for found in (row, other):
            assert {k: v for k, v in found.items() if k not in ("score", "spoof_probability", "latency_ms")} == {
                k: v for k, v in wanted.items() if k not in ("score", "spoof_probability", "latency_ms")
            }
            if not found["error"]:
                assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_a_part_of_each_recording_keeps_the_times_of_the_file(many, make_model_folder, tmp_path):
    model, output = make_model_folder(), tmp_path / "rows.jsonl"
    command = [str(many), "--model", str(model.folder), "--output", str(output), "--start", "1", "--end", "1.5"]
    assert score.main([*command, "--processes", "2"]) == 1
    rows = {row["source"]: row for row in jsonl(output)}
    short, long = rows[str(many / "00.wav")], rows[str(many / "11.wav")]
    assert short["error"] == "too short: it ends at 0.562 s, --start is 1 s"
    expected = Detector(model).score_windows(audio.decode(many / "11.wav")[16000:24000])
    assert (long["start_s"], long["end_s"], long["duration_s"]) == (1.0, 1.5, 0.5)
    assert long["score"] == pytest.approx(float(model.calibration.apply(expected.logit)), abs=1e-5)
    assert 1 <= long["worst_start_s"] < long["worst_end_s"] <= 1.5
    with pytest.raises(ConfigError, match="--engine spark scores whole recordings"):
        score.main([*command, "--engine", "spark", "--master", "local[1]"])


def test_scores_are_those_of_the_keras_model(many, make_model_folder, tiny_model, tmp_path):
    model = make_model_folder()
    score.main([str(many), "--model", str(model.folder), "--output", str(tmp_path / "rows.jsonl")])
    for row in jsonl(tmp_path / "rows.jsonl"):
        if row["error"]:
            continue
        wave = audio.decode(row["source"])
        cut = [windows.cut(wave, start, model.config.window) for start in windows.starts(len(wave), model.clip_samples)]
        logit = tiny_model[0].predict(np.stack(cut), verbose=0).mean()
        assert (row["score"] + 0.5) / 2 == pytest.approx(logit, abs=1e-3)


def test_labels_give_metrics_of_the_scored_recordings(many, make_model_folder, tmp_path, capsys):
    files = sorted(path.name for path in many.iterdir())
    labels = ["bonafide" if number % 3 else "spoof" for number in range(len(files))]
    attacks = ["A1" if label == "spoof" else "-" for label in labels]
    table = pd.DataFrame({"path": [f"many/{name}" for name in files], "label": labels, "attack": attacks})
    table.to_parquet(tmp_path / "manifest.parquet")
    output = tmp_path / "rows.jsonl"
    command = [str(tmp_path / "manifest.parquet"), "--model", str(make_model_folder().folder), "--output", str(output)]
    assert score.main(command) == 1
    shown = capsys.readouterr()
    scored = [(row["score"], label == "bonafide") for row, label in zip(jsonl(output), labels, strict=True)]
    scores, bonafide = map(np.array, zip(*[pair for pair in scored if pair[0] is not None], strict=True))
    assert "12 labelled recordings with a score" in shown.out
    assert re.search(rf"^eer +{metrics.eer(scores, bonafide):.4f}$", shown.out, flags=re.MULTILINE)
    assert re.search(rf"^auc +{metrics.auc(scores, bonafide):.4f}$", shown.out, flags=re.MULTILINE)
    assert "eer of A1" in shown.out
    assert "13 recordings" in shown.err
    assert "1 could not be scored" in shown.err


def test_one_class_is_noted(many, make_model_folder, tmp_path, capsys):
    (tmp_path / "one.csv").write_text("path,label\nmany/01.wav,spoof\nmany/02.wav,spoof\n")
    assert score.main([str(tmp_path / "one.csv"), "--model", str(make_model_folder().folder)]) == 0
    shown = capsys.readouterr().out
    assert "one class only: spoof" in shown
    assert "accuracy" in shown
    assert "eer" not in shown


def test_a_killed_run_resumes_and_leaves_no_process(many, make_model_folder, tmp_path, voice):
    for number in range(12):
        soundfile.write(many / f"{number:02}.wav", audio.to_int16(np.tile(voice, 60)), 16000)
    output = tmp_path / "rows.csv"
    arguments = [str(many), "--model", str(make_model_folder().folder), "--output", str(output), "--processes", "2"]
    process = psutil.Popen([sys.executable, "-m", "pipeline.score", *arguments], cwd=PROJECT_ROOT)
    part = tmp_path / "rows.csv.part"
    deadline = time.monotonic() + 60
    while not part.exists() or part.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    workers = process.children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not output.exists()
    before = [json.loads(line)["source"] for line in part.read_text().splitlines()[:3]]
    with part.open("a") as file:
        file.write("half a ro")
    assert score.main(arguments) == 1
    found = list(csv.DictReader(output.open()))
    assert [row["source"] for row in found] == sorted(str(path) for path in many.iterdir())
    assert [row["source"] for row in found[:3]] == before
    assert not part.exists()


def test_a_process_that_dies_is_named_with_the_remedy(many, make_model_folder):
    model = make_model_folder()
    found = score_workers.rows(model, [str(path) for path in sorted(many.iterdir())] * 20, model.point(), processes=2)
    next(found)
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    with pytest.raises(ProjectError, match=r"a process died .*the same command resumes"):
        list(found)
