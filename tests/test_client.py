"""The client against servers that are busy, silent, broken or none; real servers are asked in their own tests."""

import http.server
import json
import threading
from contextlib import contextmanager

import pytest

from pipeline.client import Client, main
from pipeline.errors import ConfigError, ServerError


@contextmanager
def answering(*answers: tuple[int, dict, bytes]):
    """Address of a server that gives these answers in turn, the last one again and again; status 0 hangs up."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, body = answers[min(len(asked), len(answers)) - 1]
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


ROW = json.dumps({"row": {"source": "", "score": 1.5, "label": "bonafide", "column_of_a_later_version": 1}}).encode()


def test_a_busy_or_restarting_server_is_asked_again(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    busy = (503, {"Retry-After": "0"}, b"{}"), (429, {"Retry-After": "0"}, b"{}"), (0, {}, b"")
    with answering(*busy, (200, {}, ROW)) as (url, asked):
        row = Client(url).row(tmp_path / "a.wav")
    assert (row.source, row.score, row.label) == (str(tmp_path / "a.wav"), 1.5, "bonafide")
    assert asked == [b"sound"] * 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((503, {"Retry-After": "0"}, b"{}"), "busy (status 503)"),
        ((0, {}, b""), "no answer"),
        ((200, {}, b"<html>"), "status 200 without a row"),
        ((200, {}, b'{"other": 1}'), "status 200 without a row"),
        ((302, {"Location": "http://evil.example/"}, b""), "status 302 without a row"),
    ],
)
def test_a_server_without_an_answer_ends_the_work(tmp_path, answer, reason):
    (tmp_path / "a.wav").write_bytes(b"sound")
    with answering(answer) as (url, _), pytest.raises(ServerError) as found:
        Client(url, retries=1).row(tmp_path / "a.wav")
    assert reason in str(found.value)


def test_a_file_that_is_refused_or_missing_has_its_reason(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    with answering((413, {}, b'{"detail": "too large"}')) as (url, _):
        client = Client(url)
        assert client.row(tmp_path / "a.wav").error == "refused: status 413: too large"
        assert "No such file" in client.row(tmp_path / "b.wav").error


def test_the_command_resumes_its_file(tmp_path, capsys):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
    output = tmp_path / "rows.jsonl"
    with answering((200, {}, ROW), (404, {}, b'{"detail": "Not Found"}'), (200, {}, ROW)) as (url, asked):
        command = [str(tmp_path), "--url", url, "--output", str(output)]
        with pytest.raises(ServerError):
            main(command)
        assert main(command) == 0
        assert len(asked) <= 6
    assert [json.loads(line)["score"] for line in output.read_text().splitlines()] == [1.5] * 3
    assert "3 recordings, 0 could not be scored" in capsys.readouterr().err


def test_a_header_without_a_value_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    with pytest.raises(ConfigError, match="expected 'NAME: VALUE'"):
        main([str(tmp_path / "a.wav"), "--header", "X-User"])


def test_what_is_no_address_is_refused():
    with pytest.raises(ConfigError, match="expected an address"):
        Client("localhost:8000")
