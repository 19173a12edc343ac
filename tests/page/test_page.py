"""The page's server, asked directly: rows, files, limits, whom it answers, the answers of visitors."""

import csv
import dataclasses
import hashlib
import http.client
import io
import json
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
import soundfile

from pipeline import audio, corpora
from pipeline.client import Client
from pipeline.config import PROJECT_ROOT, CorpusConfig
from pipeline.scoring.detector import Detector


def ask(address: str, method: str, path: str, body=None, **headers: str) -> tuple[int, dict, bytes]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_a_posted_recording_gets_the_detectors_row(address, model, recordings):
    for path in sorted(recordings.iterdir()):
        status, headers, body = ask(address, "POST", "/api/recordings", path.read_bytes())
        assert (status, headers["content-type"]) == (200, "application/json")
        found = json.loads(body)["row"]
        expected = dataclasses.asdict(Detector(model).row("", path.read_bytes()))
        assert found.pop("latency_ms") > 0
        expected.pop("latency_ms")
        assert found == pytest.approx(expected, abs=1e-5)


def test_every_answer_forbids_what_is_not_the_pages(address):
    for method, path in (("GET", "/"), ("GET", "/app.js"), ("GET", "/nowhere"), ("POST", "/api/recordings")):
        _, headers, _ = ask(address, method, path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_the_pages_files_name_nothing_elsewhere():
    static = PROJECT_ROOT / "pipeline/page/static"
    for path in {*static.iterdir()} - {static / "example.flac"}:
        text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "innerHTML" not in text, path


@pytest.mark.parametrize("path", ["/../server.py", "/static/app.js", "/%2e%2e/server.py", "/docs", "/redoc"])
def test_nothing_else_is_served(address, path):
    assert ask(address, "GET", path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_other_host_names_are_refused(address, host):
    status, _, body = ask(address, "GET", "/", Host=host)
    assert status in (400, 403)
    assert b"<html" not in body


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_and_addresses_of_this_machine_are_answered(address, host):
    assert ask(address, "GET", "/", Host=host)[0] == 200


def test_other_pages_cannot_post(address):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        status, _, body = ask(address, "POST", "/api/recordings", b"x", Origin=origin)
        assert (status, b"other pages" in body) == (403, True)
    assert ask(address, "POST", "/api/recordings", b"x", Origin=f"http://{address}")[0] == 200


def test_large_uploads_are_refused_declared_or_not(address):
    status, _, body = ask(address, "POST", "/api/recordings", bytes(600_000))
    assert (status, json.loads(body)["detail"]) == (413, "too large: at most 0.5 MB are taken")
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", "/api/recordings", (bytes(100_000) for _ in range(6)), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()


def test_the_client_gets_the_detectors_rows(address, model, recordings):
    paths = [str(path) for path in sorted(recordings.iterdir())]
    for path, row in zip(paths, Client(f"http://{address}/").rows(paths), strict=True):
        expected = dataclasses.asdict(Detector(model).row(path, path)) | {"latency_ms": row.latency_ms}
        assert dataclasses.asdict(row) == pytest.approx(expected, abs=1e-5)
    assert Client(f"http://{address}").row(__file__).error.startswith("unreadable")


def test_decoded_audio_is_returned_as_wav(address, recordings):
    recording = (recordings / "c.ogg").read_bytes()
    status, headers, body = ask(address, "POST", "/api/audio", recording)
    assert (status, headers["content-type"]) == (200, "audio/wav")
    returned, _ = soundfile.read(io.BytesIO(body), dtype="float32")
    np.testing.assert_array_equal(returned, audio.decode(recording))
    assert ask(address, "POST", "/api/audio", b"x")[0] == 422


def answer(address: str, clip: bytes, *, sent: bytes | None = None, **query: str) -> tuple[int, dict]:
    """Score a recording, and answer about it; ``sent`` is another body of the answer."""
    found = json.loads(ask(address, "POST", "/api/recordings", clip)[2])
    query = {"recording": found["recording"], **query}
    status, _, body = ask(address, "POST", f"/api/feedback?{urlencode(query)}", clip if sent is None else sent)
    return status, found["row"] if status == 204 else json.loads(body)


def test_answers_are_a_table_that_the_reader_takes(address, answers, recordings, capsys):
    a, b, c = (path.read_bytes() for path in sorted(recordings.iterdir())[:3])
    assert answer(address, b, answer="fake", name="../b.wav")[0] == 204
    for given in ("fake", "live"):
        status, row = answer(address, a, answer=given, name="=1+2.FLAC")
        assert status == 204
    assert answer(address, c, answer="partly", name="c\n.ogg")[0] == 204
    with answers.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["answer"], row["label"]) for row in rows] == [
        ("fake", "spoof"), ("fake", "spoof"), ("live", "bonafide"), ("partly", "")
    ]  # fmt: skip
    assert rows[2]["path"] == f"kept/{hashlib.sha256(a).hexdigest()}.flac"
    assert float(rows[2]["score"]) == row["score"]
    assert (answers.parent / rows[2]["path"]).read_bytes() == a

    table, rejected = corpora.read(CorpusConfig(corpus="table", data_dir=str(answers)))
    assert rejected == []
    kept = {Path(row["path"]).name: row["label"] for row in rows[:3]}
    assert {Path(path).name: label for path, label in zip(table["path"], table["label"], strict=True)} == kept
    assert "answers.csv: 2 answers give no label: 1 changed later, 1 partly" in capsys.readouterr().err


def test_answers_that_mean_nothing_are_refused(address, answers, recordings):
    recording = (recordings / "c.ogg").read_bytes()
    before = answers.read_text()
    status, said = answer(address, recording, answer="maybe")
    assert (status, said["detail"]) == (422, "answer 'maybe': expected live, fake, partly, unknown")
    assert answer(address, recording, answer="live", recording="0" * 64)[0] == 410
    assert answer(address, recording, answer="live", sent=b"another")[0] == 422
    noise = io.BytesIO()
    soundfile.write(noise, np.random.default_rng(0).normal(0, 0.1, 200_000), 16000, format="WAV")
    status, said = answer(address, noise.getvalue(), answer="live")
    assert (status, said["detail"]) == (507, "the folder for recordings is full; the answer was not stored")
    status, _, _ = ask(address, "POST", "/api/feedback?answer=live&recording=0", Origin="http://evil.example")
    assert status == 403
    assert answers.read_text() == before


def test_metrics_count_recordings_and_errors(address, recordings):
    before = ask(address, "GET", "/metrics")[2].decode()
    ask(address, "POST", "/api/recordings", (recordings / "notes.wav").read_bytes())
    status, headers, body = ask(address, "GET", "/metrics")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    line = 'spoof_errors_total{kind="unreadable"} '
    count = [float(text.partition(line)[2].split("\n")[0] or 0) for text in (before, body.decode())]
    assert count[1] == count[0] + 1
    assert 'spoof_requests_total{status="200"}' in body.decode()
