"""Long recordings by job, over a real server with real processes: results, callbacks, kills, restarts and limits."""

import http.client
import http.server
import io
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.errors import ConfigError
from pipeline.page import callbacks, job_worker, server, view
from pipeline.page.job_worker import RESULT, UPLOAD
from pipeline.page.jobs import JOB, TRIES, Job, JobLimits, Jobs
from pipeline.scoring.detector import Detector
from pipeline.scoring.pool import Pool
from tests.support.page_server import serving

LEFT = "left-by-an-earlier-one"  # 22 characters


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def told():
    """Address of a server of callbacks, and the bodies that it got; its first answer is 503."""
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(503 if len(bodies) == 1 else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/done", bodies
        listening.shutdown()


def recording(voice: np.ndarray, seconds: int = 6) -> bytes:
    """A call: speech in one channel, the same reversed in the other."""
    wave = np.tile(voice, seconds // 2)
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave, wave[::-1]], axis=1), 16000, format="WAV")
    return file.getvalue()


def left(folder: Path, job_id: str, data: bytes, **values) -> None:
    """The files of a job that another server has taken."""
    (folder / job_id).mkdir(parents=True)
    (folder / job_id / UPLOAD).write_bytes(data)
    job = {"id": job_id, "mix": True, "callback": "", "created": time.time(), "tries": 0} | values
    (folder / job_id / JOB).write_text(json.dumps(job))


@pytest.fixture(scope="module")
def jobs(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts") / "jobs"
    wave = 0.3 * np.sin(np.arange(48000) / 7)
    file = io.BytesIO()
    soundfile.write(file, wave, 16000, format="FLAC")
    left(folder, LEFT, file.getvalue(), tries=1)
    left(folder, "x" * 22, b"old", created=0.0)
    (folder / "interrupted").mkdir()
    (folder / "interrupted" / UPLOAD).write_bytes(b"half")
    return Jobs(folder, model, JobLimits(max_mb=2.0, unfinished=3, callbacks=frozenset({"127.0.0.1"})))


@pytest.fixture(scope="module")
def address(model, jobs):
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), jobs=jobs)
    with serving(app) as place:
        yield place


def ask(address: str, method: str, path: str, body=None, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
    finally:
        connection.close()


def until(condition, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def finished(address: str, job_id: str) -> dict:
    return until(lambda: (found := ask(address, "GET", f"/jobs/{job_id}")[1]).get("result") and found)


def test_jobs_of_an_earlier_server_are_finished_or_removed(address, jobs):
    found = finished(address, LEFT)
    assert (found["state"], [one["channel"] for one in found["result"]["channels"]]) == ("done", [0])
    assert {path.name for path in jobs.folder.iterdir() if path.is_dir()} == {LEFT}
    until(lambda: not (jobs.folder / LEFT / UPLOAD).exists())


def test_a_call_is_analysed_and_its_callback_told(address, jobs, model, voice, told):
    place, bodies = told
    data = recording(voice)
    status, answer = ask(address, "POST", f"/jobs?callback={place}", data)
    assert (status, answer["state"]) == (202, "waiting")
    status, found = ask(address, "GET", f"/jobs/{answer['id']}")
    assert set(found) - {"result"} >= {"id", "state", "created", "expires"}
    found = finished(address, answer["id"])
    assert found["state"] == "done"
    mono = soundfile.read(io.BytesIO(data), dtype="int16")[0]
    for number, channel in enumerate(found["result"]["channels"]):
        file = io.BytesIO()
        soundfile.write(file, mono[:, number], 16000, format="WAV")
        wanted = view.view(Detector(model), file.getvalue(), limits=audio.DEFAULT_LIMITS)
        assert channel["channel"] == number + 1
        assert set(channel) == {*wanted, "channel"}
        for name in ("score", "worst_score", "speech_s", "duration_s"):
            assert channel["row"][name] == pytest.approx(wanted["row"][name], abs=1e-4)
        assert channel["verdict"] == wanted["verdict"]
        assert channel["waveform"]["high"] == pytest.approx(
            [max(piece) for piece in np.array_split(audio.to_float(mono[:, number]), len(channel["waveform"]["high"]))],
            abs=1e-4,
        )
    wanted = {"id": answer["id"], "state": "done"}
    until(lambda: bodies == [wanted, wanted])
    delivered = jobs.folder / answer["id"] / "delivered.json"
    assert json.loads(until(lambda: delivered.is_file() and delivered.read_text())) == {"callback": "status 200"}
    assert ask(address, "DELETE", f"/jobs/{answer['id']}") == (204, {})
    assert ask(address, "GET", f"/jobs/{answer['id']}")[0] == 404
    assert not delivered.parent.exists()


def test_a_killed_analysis_is_repeated_a_few_times(address, jobs, voice):
    job_id = ask(address, "POST", "/jobs", recording(voice))[1]["id"]
    killed = set()
    for _ in range(TRIES):
        process = until(
            lambda: jobs._running == job_id and (p := jobs._process) and p.pid and p.pid not in killed and p
        )
        killed.add(process.pid)
        os.kill(process.pid, signal.SIGKILL)
    found = finished(address, job_id)
    assert found["state"] == "failed"
    assert "ended from outside" in found["result"]["error"]["row"]["error"]


def test_a_job_is_stopped_and_deleted_while_it_is_analysed(address, jobs, voice):
    job_id = ask(address, "POST", "/jobs", recording(voice))[1]["id"]
    until(lambda: jobs._running == job_id and jobs._process and jobs._process.pid)
    assert ask(address, "DELETE", f"/jobs/{job_id}")[0] == 204
    until(lambda: jobs._running != job_id)
    until(lambda: not (jobs.folder / job_id).exists())


def test_large_uploads_are_refused_before_they_are_sent(address, jobs):
    before = sorted(jobs.folder.iterdir())
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.putrequest("POST", "/jobs")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders(b"RIFF")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["detail"]) == (413, "too large: at most 2 MB are taken")
    connection.close()
    pieces = (bytes(100_000) for _ in range(21))
    assert ask(address, "POST", "/jobs", pieces)[0] == 413
    assert sorted(jobs.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("channels=both", 400, "channels 'both': expected separate or mix"),
        ("callback=http://evil.example/x", 403, "the host 'evil.example' is not allowed"),
        ("callback=http://127.0.0.1@evil.example/", 403, "without a password"),
        ("callback=file:///etc/passwd", 403, "expected http:// or https://"),
    ],
)
def test_wrong_wishes_are_refused(address, query, status, reason):
    found, answer = ask(address, "POST", f"/jobs?{query}", b"x")
    assert found == status
    assert reason in answer["detail"]


@pytest.mark.parametrize("path", ["/jobs/..", "/jobs/../../etc", f"/jobs/{'a' * 22}", "/jobs/%2e%2e%2fx", "/jobs/lock"])
def test_unknown_jobs_are_not_found(address, path):
    assert ask(address, "GET", path)[0] == 404
    assert ask(address, "DELETE", path)[0] in (404, 405)


def test_other_pages_cannot_post_jobs(address):
    assert ask(address, "POST", "/jobs", b"x", Origin="http://evil.example")[0] == 403


def test_what_is_no_recording_has_its_reason(model, tmp_path):
    (tmp_path / UPLOAD).write_bytes(b"this is no recording " * 50)
    found = job_worker.analysis(tmp_path, Detector(model), mix=False)["error"]
    assert found["row"]["error"].startswith("unreadable")
    assert found["verdict"]["tone"] == "error"


def test_the_length_of_a_recording_is_bounded(model, tmp_path, voice, monkeypatch):
    (tmp_path / UPLOAD).write_bytes(recording(voice))
    monkeypatch.setattr(job_worker, "MAX_S", 5.0)
    found = job_worker.analysis(tmp_path, Detector(model), mix=True)["error"]
    assert "too long" in found["row"]["error"]


def test_jobs_wait_for_their_turn_up_to_a_number(model, tmp_path):
    jobs = Jobs(tmp_path / "jobs", model, JobLimits())
    first = jobs.add(jobs.new_folder(), mix=False, callback="")
    second = jobs.add(jobs.new_folder(), mix=False, callback="")
    assert (jobs.unfinished, jobs.status(second)["state"]) == (2, "waiting")
    (jobs.folder / first / RESULT).write_text("{}")
    assert jobs.unfinished == 1
    with pytest.raises(ConfigError, match="another page works on these jobs"):
        Jobs(tmp_path / "jobs", model, JobLimits())


def test_callbacks_follow_no_redirect_and_survive_silence(told):
    assert callbacks.refusal("https://a.example:8443/x", frozenset({"a.example:8443"})) == ""
    assert "not allowed" in callbacks.refusal("https://a.example/x", frozenset({"a.example:8443"}))
    assert Job("x", False, "", 0.0).tries == 0

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(302)
            self.send_header("Location", told[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    count = len(told[1])
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as listening:
        threading.Thread(target=listening.handle_request, daemon=True).start()
        assert callbacks.post(f"http://127.0.0.1:{listening.server_port}/", {}) == "status 302"
    assert len(told[1]) == count
