"""The registered model behind MLflow's own server, for real: one server for all requests here."""

import base64
import dataclasses
import json
import math
import os
import re
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from benchmarks.load import load
from benchmarks.server import Server, serving
from pipeline import latency
from pipeline.client import Client
from pipeline.page import openapi
from pipeline.scoring.detector import Detector
from pipeline.scoring.row import COLUMNS
from tests.support.served import same, text, wav

LIMITS = {"MAX_CHANNELS": "2", "MAX_RATE_HZ": "192000", "MAX_ROWS": "100", "LOG_EVERY_S": "2"}


@pytest.fixture(scope="module")
def server(place, registered, speech_like):
    root = place / "recordings"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "a.wav").write_bytes(wav(speech_like))
    (place / "secret.wav").write_bytes(wav(speech_like))
    (root / "link.wav").symlink_to(place / "secret.wav")
    (root / "inside.wav").symlink_to(root / "inner" / "a.wav")
    os.mkfifo(root / "pipe.wav")
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
        "SPOOF_SERVE_ROOT": str(root),
        "SPOOF_SERVE_LOG": str(place / "latency.jsonl"),
        "SPOOF_SERVE_ROWS": str(place / "rows.jsonl"),
        "SPOOF_SERVE_METRICS": "true",
        **{f"SPOOF_SERVE_{name}": value for name, value in LIMITS.items()},
    }
    with serving(log=place / "server.log", environment=environment) as running:
        yield running
        written = len(latency.read(place / "latency.jsonl"))
        running.score(dataframe_records=[{"path": "inner/a.wav"}])
    assert len(latency.read(place / "latency.jsonl")) > written, "the last line was lost"


@pytest.mark.parametrize("shape", ["dataframe_records", "dataframe_split", "instances", "inputs", "csv"])
def test_every_form_of_input_gives_the_detectors_row(server, registered, speech_like, shape):
    recording = text(wav(speech_like))
    expected = Detector(registered).row("row 0", wav(speech_like))
    bodies = {
        "dataframe_records": [{"audio": recording}, {"audio": recording}],
        "dataframe_split": {"columns": ["audio"], "data": [[recording], [recording]]},
        "instances": [{"audio": recording}, {"audio": recording}],
        "inputs": {"audio": [recording, recording]},
    }
    if shape == "csv":
        status, answer = server.post(f"audio\n{recording}\n{recording}\n".encode(), "text/csv")
        assert status == 200
        found = answer["predictions"]
    else:
        found = server.score(**{shape: bodies[shape]})
    assert [list(row) for row in found] == [list(COLUMNS)] * 2
    assert [row["source"] for row in found] == ["row 0", "row 1"]
    assert all(same(row, expected) for row in found)
    assert all(row["latency_ms"] > 0 for row in found)


def test_the_described_examples_are_answered_and_the_client_gets_their_rows(server, registered):
    found = openapi.document()["paths"]["/invocations"]["post"]
    examples = found["requestBody"]["content"]["application/json"]["examples"]
    counts = {}
    for name, example in examples.items():
        status, answer = server.post(json.dumps(example["value"]).encode())
        assert status == 200, name
        assert all(tuple(row) == COLUMNS for row in answer["predictions"])
        counts[name] = len(answer["predictions"])
    assert (counts["one"], counts["threshold"]) == (1, 2)
    assert counts["windows"] > 1
    row = Client(f"{server.url}/invocations").row(openapi.EXAMPLE)
    assert row.source == str(openapi.EXAMPLE)
    assert same(dataclasses.asdict(row), Detector(registered).row("", openapi.EXAMPLE))


def test_parameters_choose_the_operating_point_threshold_and_timeline(server, registered, speech_like):
    recording = [{"audio": text(wav(speech_like))}]
    (plain,) = server.score(dataframe_records=recording)
    (rare,) = server.score(dataframe_records=recording, params={"operating_point": "min_dcf"})
    assert rare["score"] == plain["score"]
    odds = math.log(rare["spoof_probability"] / (1 - rare["spoof_probability"]))
    assert odds == pytest.approx(-plain["score"] - math.log(19), abs=1e-4)

    labels = {}
    for threshold in (plain["score"] - 0.1, plain["score"] + 0.1):
        (row,) = server.score(dataframe_records=recording, params={"threshold": threshold})
        labels[row["label"]] = threshold
    expected = {"no_speech"} if plain["label"] == "no_speech" else {"bonafide", "spoof"}
    assert set(labels) == expected

    windows = server.score(dataframe_records=recording, params={"windows": True})
    assert len(windows) == 6
    detector = Detector(registered)
    expected = detector.rows("", wav(speech_like), timeline=True)
    for answer, wanted in zip(windows, expected, strict=True):
        assert same(answer, wanted)

    status, answer = server.post(
        json.dumps({"dataframe_records": recording, "params": {"operating_point": "no"}}).encode()
    )
    assert status == 400
    assert "this model has eer, min_dcf" in answer["message"]


def test_only_paths_in_the_folder_are_read(server, registered, place, speech_like):
    inside = ["inner/a.wav", str(place / "recordings/inner/a.wav"), "inner/../inner/a.wav", "inside.wav"]
    expected = Detector(registered).row("", wav(speech_like))
    found = server.score(dataframe_records=[{"path": path} for path in inside])
    assert [row["source"] for row in found] == inside
    assert all(same(row, expected) for row in found)

    outside = [str(place / "secret.wav"), "../secret.wav", "link.wav", "/etc/passwd", "inner/../../secret.wav"]
    outside += ["/nowhere/at/all.wav", "/proc/self/environ"]
    found = server.score(dataframe_records=[{"path": path} for path in outside])
    assert {row["error"] for row in found} == {"refused: the path is outside the folder that this server reads"}

    (place / "recordings/samples.raw").write_bytes(bytes(4000))
    odd = {"pipe.wav": "not a regular file", "inner": "not a regular file", "gone.wav": "No such file"}
    odd |= {"\0": "not a file name", "samples.raw": "can decode (Invalid argument)"}
    found = server.score(dataframe_records=[{"path": path} for path in odd])
    assert all(reason in row["error"] for row, reason in zip(found, odd.values(), strict=True))
    assert not [row["error"] for row in found if str(place) in row["error"]]
    assert {row["score"] for row in found} == {None}


@pytest.mark.parametrize("shape", ["dataframe_records", "instances"])
def test_bad_rows_have_their_reasons_and_good_ones_their_scores(server, speech_like, shape):
    good, rng = wav(speech_like), np.random.default_rng(0)
    broken = speech_like / 32768
    broken[5000] = np.nan
    playlist = b"ffconcat version 1.0\nfile 'inner/a.wav'\n"
    cases = {
        "not base64": ("%%%", "not base64"),
        "cut base64": (text(good)[:-3], "not base64"),
        "no bytes": ("", "a row holds either audio or path"),
        "text": (text(b"this is no recording " * 20), "unreadable: not audio"),
        "cut in its header": (text(good[:30]), "unreadable"),
        "no samples": (text(wav(np.zeros(0, np.int16))), "empty: the file holds no samples"),
        "NaN": (text(wav(broken, subtype="FLOAT")), "not finite"),
        "8 channels": (
            text(wav(rng.normal(0, 0.1, (8000, 8)))),
            "8 channels, at most 2 are taken (SPOOF_SERVE_MAX_CHANNELS)",
        ),
        "384 kHz": (
            text(wav(rng.normal(0, 0.1, 100000), 384000)),
            "384000 Hz lies outside 4000 to 192000 Hz (SPOOF_SERVE_MAX_RATE_HZ)",
        ),
        "names another file": (text(playlist), "unreadable: not audio"),
        "silent": (text(wav(np.zeros(16000, np.int16))), "silent"),
    }
    wrapped = base64.encodebytes(good).decode()
    url = "data:audio/wav;base64," + wrapped
    given = [{"audio": value} for value, _ in cases.values()]
    given += [{"audio": value} for value in (wrapped, url, text(good))]
    found = server.score(**{shape: given})
    for name, (_, reason), row in zip(cases, cases.values(), found, strict=False):
        assert reason in row["error"], name
        assert (row["score"], row["label"]) == (None, ""), name
    assert [row["error"] for row in found[-3:]] == ["", "", ""]
    assert found[-1]["score"] == found[-2]["score"] == found[-3]["score"]


def test_both_columns_or_the_wrong_type_is_a_row_error(server, speech_like):
    recording = text(wav(speech_like))
    both, path, number = server.score(
        dataframe_records=[{"audio": recording, "path": "inner/a.wav"}, {"path": "inner/a.wav"}, {"audio": 5}]
    )
    assert both["error"] == "ambiguous: a row holds either audio or path"
    assert path["error"] == ""
    assert number["error"] == "unreadable: the column audio holds int in place of base64 text"


def test_requests_that_are_refused_as_a_whole(server):
    refused = {
        "another column": (b'{"dataframe_records": [{"sound": "x"}]}', "application/json", 400, "audio or path"),
        "no rows": (b'{"dataframe_records": []}', "application/json", 400, "audio or path"),
        "endless threshold": (
            b'{"dataframe_records": [{"audio": "AAAA"}], "params": {"threshold": Infinity}}',
            "application/json",
            400,
            "threshold inf: expected a finite number",
        ),
        "no JSON": (b'{"dataframe_records', "application/json", 400, "JSON"),
        "too many rows": (
            json.dumps({"dataframe_records": [{"audio": "AAAA"}] * 10_000}).encode(),
            "application/json",
            400,
            "10000 rows: at most 100 rows (SPOOF_SERVE_MAX_ROWS)",
        ),
        "Parquet": (b"PAR1", "application/vnd.apache.parquet", 415, "send application/json or text/csv"),
        "JSON cut off": (b'{"dataframe_records": [{"audio": "SECRETS', "application/json", 400, "JSON"),
        "no UTF-8": (b"audio\nSECRETS\xff", "text/csv", 400, "UTF-8"),
        "unlike columns": (
            b'{"inputs": {"audio": ["SECRETS"], "path": ["SECRETS", "x"]}}',
            "application/json",
            400,
            "arrays must be of the same length",
        ),
    }
    for name, (body, kind, status, reason) in refused.items():
        found, answer = server.post(body, kind)
        assert (found, reason in answer["message"]) == (status, True), (name, answer)
        assert set(answer) == {"error_code", "message"}, name
        assert "SECRETS" not in answer["message"], (name, answer)


def test_ten_hours_in_a_small_file_cost_next_to_nothing(server, tmp_path):
    with soundfile.SoundFile(tmp_path / "bomb.flac", "w", 8000, 1, format="FLAC") as file:
        for _ in range(600):
            file.write(np.zeros(8000 * 60, np.int16))
    bomb = (tmp_path / "bomb.flac").read_bytes()
    assert len(bomb) < 2e6
    before = server.memory_bytes()
    (row,) = server.score(dataframe_records=[{"audio": text(bomb)}])
    assert row["error"] == (
        "too long: over 600 s (SPOOF_SERVE_MAX_RECORDING_S and the model); "
        "`python -m pipeline.analyse` takes recordings of any length"
    )
    assert row["latency_ms"] < 10_000
    assert server.memory_bytes() - before < 150e6


def test_a_huge_body_is_refused_and_not_kept(server, speech_like):
    def pieces(count: int):
        for _ in range(count):
            yield b" " * 1_000_000

    before, highest = server.memory_bytes(), 0
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(_post_pieces, server, pieces(300))
        while not sent.done():
            highest = max(highest, server.memory_bytes())
    status, answer = sent.result()
    assert (status, "larger than 32 MB (SPOOF_SERVE_MAX_BODY_MB)" in answer["message"]) == (413, True)
    assert highest - before < 100e6
    assert _asked_first(server, 33_000_000).startswith(b"HTTP/1.1 413")
    assert server.score(dataframe_records=[{"audio": text(wav(speech_like))}])[0]["error"] == ""


def _post_pieces(server: Server, pieces) -> tuple[int, dict]:
    import http.client

    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/invocations", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _asked_first(server: Server, size: int) -> bytes:
    """The answer to a client that sends its body only when the server wants it; nothing of it is sent here."""
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {size}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        return connection.recv(1000)


def test_eight_clients_at_once_all_get_the_same_row(server, registered, speech_like):
    expected = Detector(registered).row("row 0", wav(speech_like))
    body = json.dumps({"dataframe_records": [{"audio": text(wav(speech_like))}]}).encode()
    outcome = load(server, [body], clients=8, seconds=4.0)
    assert outcome.failures == []
    assert len(outcome.rows) == len(outcome.requests_ms) >= 40
    assert all(same(row, expected) for row in outcome.rows)
    sizes = [size for _, size in outcome.memory_bytes]
    assert sizes[-1] < 1.2 * sizes[len(sizes) // 2]


def test_the_server_logs_its_latency(server, place, speech_like, capsys):
    server.score(dataframe_records=[{"audio": text(wav(speech_like))}] * 5 + [{"audio": "%"}])
    time.sleep(2.5)
    lines = latency.read(place / "latency.jsonl")
    assert lines[-1].keys() >= {"time", "pid", "requests", "clips", "clips_per_s", "request_ms", "clip_ms"}
    assert lines[-1]["request_ms"]["p50"] <= lines[-1]["request_ms"]["p99"] <= lines[-1]["request_ms"]["max"]
    total = latency.summarise(lines)
    assert total["processes"] == 1
    assert total["clips"] >= 6
    assert total["failed"] >= 1
    assert latency.main([str(place / "latency.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert f"{total['requests']} requests" in shown
    assert "clips per second" in shown


def test_the_server_keeps_rows_and_counts_for_prometheus(server, place, speech_like):
    scored, failed = server.score(dataframe_records=[{"audio": text(wav(speech_like))}, {"audio": "%"}])
    assert failed["error"]
    (kept,) = (place / "rows.jsonl").read_text().splitlines()[-1:]
    assert json.loads(kept)["score"] == scored["score"]
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=20) as answer:
        counts = answer.read().decode()
    assert re.search(r'spoof_requests_total\{status="200"\} [1-9]', counts)
    assert re.search(r'spoof_errors_total\{kind="unreadable"\} [1-9]', counts)
    assert re.search(r"spoof_score_count [1-9]", counts)
