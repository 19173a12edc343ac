"""The page as visitors use it: a real server, asked directly and through a real headless Chromium."""

import csv
import dataclasses
import hashlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
import soundfile

from pipeline import audio, corpora
from pipeline.client import Client
from pipeline.config import PROJECT_ROOT, CorpusConfig
from pipeline.scoring.detector import Detector
from pipeline.scoring.row import COLUMNS
from tests.support.browser import Page, asked, chromium, complaints

MAX_MB, JOB_MB = 0.5, 0.6


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> Path:
    """Table that the server appends answers to, beside the folder of recordings that it keeps."""
    return tmp_path_factory.mktemp("answers") / "answers.csv"


@pytest.fixture(scope="module")
def address(model, answers, tmp_path_factory):
    """Host and port of the page's server, which is stopped after the module."""
    arguments = ["--model", str(model.folder), "--port", "0", "--max_mb", str(MAX_MB), "--job_mb", str(JOB_MB)]
    arguments += ["--metrics", "--feedback", str(answers), "--keep", str(answers.parent / "kept"), "--keep_mb", "0.4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.page", *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | {"SPOOF_ARTIFACTS": str(tmp_path_factory.mktemp("artifacts"))},
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("model tiny-1: http://127.0.0.1:"), line
    yield urlsplit(line.split()[-1]).netloc
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Three recordings and a text file; the name of one would be markup, that of another a formula."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(1)
    for name, seconds in (("a <img src=x onerror=alert(1)>.wav", 2.0), ("=1+2.flac", 3.0), ("c.ogg", 1.0)):
        t = np.arange(int(16000 * seconds)) / 16000
        wave = 0.3 * np.sin(2 * np.pi * 150 * t * (1 + 0.1 * np.sin(3 * t))) + 0.02 * rng.standard_normal(len(t))
        soundfile.write(folder / name, wave, 16000)
    (folder / "notes.wav").write_text("not audio")
    return folder


# Asked directly


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


# Through a browser


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    with chromium(downloads) as started:
        yield started


@pytest.fixture
def page(browser, address):
    """The page, opened afresh; nothing may have gone wrong in it, and nothing but its server been asked."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    yield Page(browser, address)
    assert complaints(browser) == []
    urls = asked(browser, f"http://{address}/")
    assert urls
    assert all(url.startswith((f"http://{address}/", f"blob:http://{address}/")) for url in urls), urls


def test_one_recording_is_judged_and_drawn(page, model, recordings):
    path = recordings / "a <img src=x onerror=alert(1)>.wav"
    page.drop(path)
    expected = Detector(model).row("", path)
    assert page.text("model") == "Model tiny-1"
    assert page.text("file") == path.name
    assert page.text("headline")
    assert f"{abs(expected.score):.2f}" in page.text("facts")
    assert "tiny-1" in page.text("facts")
    assert page.text("clock") == "0:00.0 / 0:02.0"
    assert not page.element("batch").is_displayed()
    for name, least in (("waveform", 2), ("spectrogram", 100), ("score", 4), ("axis", 2)):
        assert page.drawn(name) >= least, name
    assert page.js("document.images.length") == 1  # the icon


def test_the_cursor_follows_clicks_keys_and_playback(page, recordings):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.drop(recordings / "=1+2.flac")
    page.wait(lambda: page.js("document.getElementById('audio').readyState") >= 2)
    where = "document.getElementById('cursor').getBoundingClientRect().x"
    start_x = page.js(where)
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: page.now_s() == 0.25)
    page.press(Keys.END)
    page.wait(lambda: page.now_s() == 3.0)
    end_x = page.js(where)
    page.press(Keys.HOME, Keys.SHIFT, Keys.ARROW_RIGHT)
    page.wait(lambda: page.now_s() == 2.0)
    assert page.js(where) == pytest.approx(start_x + (end_x - start_x) * 2 / 3, abs=1)

    stack = page.element("stack")
    middle = (start_x + end_x) / 2 + 1
    offset = middle - (stack.rect["x"] + stack.rect["width"] / 2)
    ActionChains(page.browser).move_to_element_with_offset(stack, round(offset), 0).click().perform()
    page.wait(lambda: page.element("play").get_attribute("aria-label") == "Pause")
    page.wait(lambda: 1.6 < page.now_s() < 2.9)
    assert "score" in page.text("readout")
    page.press(" ")
    page.wait(lambda: page.element("play").get_attribute("aria-label") == "Play")
    assert page.js(where) == pytest.approx(start_x + (end_x - start_x) * page.now_s() / 3, abs=1.5)


def test_everything_is_reached_by_the_keyboard(page, recordings):
    from selenium.webdriver.common.keys import Keys

    page.drop(recordings / "c.ogg", recordings / "=1+2.flac")
    reached = []
    page.js("document.activeElement.blur()")
    for _ in range(24):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.js("document.activeElement.id || document.activeElement.textContent"))
    assert {"choose", "record", "clear", "csv", "Score", "=1+2.flac", "Fake", "play", "stack"} <= set(reached)
    page.element("rows").find_element("xpath", ".//button[text()='=1+2.flac']").send_keys(Keys.ENTER)
    assert page.text("file") == "=1+2.flac"
    assert page.js("document.activeElement.textContent") == "=1+2.flac"


def test_many_recordings_become_a_table_that_sorts_and_downloads(page, downloads, model, recordings):
    paths = sorted(recordings.iterdir())
    page.drop(*paths)
    assert page.text("batch-title").startswith("4 recordings: ")
    assert "1 not judged" in page.text("batch-title")
    names = "[...document.querySelectorAll('#rows td.name')].map((cell) => cell.textContent)"
    assert page.js(names) == [path.name for path in paths]
    expected = {path.name: Detector(model).row("", path) for path in paths}
    scored = sorted((name for name in expected if not expected[name].error), key=lambda name: expected[name].score)
    head = page.element("heads").find_element("xpath", ".//button[text()='Score']")
    head.click()
    assert page.js(names) == [*scored, "notes.wav"]
    head.click()
    assert page.js(names) == [*scored[::-1], "notes.wav"]
    assert head.find_element("xpath", "..").get_attribute("aria-sort") == "descending"

    page.element("csv").click()
    target = downloads / "scores.csv"
    page.wait(target.is_file)
    with target.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert [row["source"].removeprefix("'") for row in table] == [*scored[::-1], "notes.wav"]
    assert {row["source"][0] for row in table} == {"'", "a", "c", "n"}  # no formula
    for row in table[:3]:
        assert float(row["score"]) == pytest.approx(expected[row["source"].removeprefix("'")].score, abs=1e-5)
    assert (table[3]["score"], table[3]["error"][:10]) == ("", "unreadable")


def test_visitors_answer_and_download_their_answers(page, downloads, answers, recordings):
    page.drop(recordings / "=1+2.flac", recordings / "c.ogg")
    assert page.text("stores").startswith("Recordings that you give an answer about are stored on the server")
    assert page.text("truth-note") == "Answering stores the recording on the server."
    buttons = page.element("answers").find_elements("tag name", "button")
    assert [button.text for button in buttons] == ["Live", "Fake", "Partly fake", "Don’t know"]
    buttons[1].click()
    page.wait(lambda: page.text("truth-note") == "Stored. Thank you.")
    assert buttons[1].get_attribute("aria-pressed") == "true"
    assert answers.read_text().splitlines()[-1].split(",")[1:3] == ["spoof", "fake"]
    page.element("rows").find_element("xpath", ".//button[text()='c.ogg']").click()
    assert buttons[1].get_attribute("aria-pressed") == "false"
    buttons[3].click()
    page.wait(lambda: page.text("truth-note") == "Stored. Thank you.")
    assert page.text("answers-csv") == "Download 2 answers"
    page.element("answers-csv").click()
    target = downloads / "answers.csv"
    page.wait(target.is_file)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["label"], row["answer"]) for row in rows] == [
        ("./=1+2.flac", "spoof", "fake"), ("c.ogg", "", "unknown")
    ]  # fmt: skip


def test_bad_and_odd_files_are_explained(page, recordings, tmp_path):
    (tmp_path / "cut.wav").write_bytes((recordings / "a <img src=x onerror=alert(1)>.wav").read_bytes()[:-20000])
    page.drop(tmp_path / "cut.wav")
    assert page.element("plots").is_displayed()
    assert page.text("cause").startswith("truncated: the header promises 64000 bytes")
    page.drop(recordings / "notes.wav")
    assert page.text("headline") == "Could not be judged"
    assert "does not look like audio" in page.text("sentence")
    assert not page.element("plots").is_displayed()
    (tmp_path / "empty.wav").touch()
    page.drop(tmp_path / "empty.wav")
    assert page.text("sentence") == "The file is empty."
    (tmp_path / "large.wav").write_bytes(bytes(700_000))
    page.drop(tmp_path / "large.wav")
    assert page.text("sentence") == "The file is too large: 0.7 MB, at most 0.6 MB are taken."


def test_a_recording_of_the_microphone_is_judged_and_played(page):
    page.element("record").click()
    page.wait(lambda: page.text("record-text").startswith("Stop (0:01"))
    page.element("record").click()
    page.wait(lambda: page.element("detail").is_displayed() and page.text("headline") != "Scoring")
    assert page.text("record-text") == "Record"
    assert page.text("file").startswith("Recording ")
    assert page.element("plots").is_displayed(), page.text("detail")
    # Browsers do not know the length of what they record, or not well: it is played as the server decoded it.
    shown_s = float(page.element("stack").get_attribute("aria-valuemax"))
    page.wait(lambda: abs((page.js("document.getElementById('audio').duration") or 0) - shown_s) < 0.01)


def test_the_score_is_drawn_while_one_speaks(page):
    page.element("record").click()
    page.wait(lambda: "of speech in the last window" in page.text("live-numbers"))
    assert page.text("live-says") in ("Sounds live", "Sounds fake", "Waiting for speech")
    assert page.drawn("live-score") >= 4
    page.element("record").click()
    page.wait(lambda: not page.element("live").is_displayed())
    page.wait(lambda: page.text("headline") not in ("", "Scoring"))


def test_a_long_call_is_analysed_by_job_and_shown_by_channel(page, tmp_path, model):
    t = np.arange(140_000) / 16000
    wave = 0.3 * np.sin(2 * np.pi * 150 * t * (1 + 0.1 * np.sin(3 * t)))
    call = np.stack([wave, wave[::-1]], axis=1)
    soundfile.write(tmp_path / "call.wav", call, 16000)
    assert MAX_MB < (tmp_path / "call.wav").stat().st_size / 1e6 < JOB_MB
    page.drop(tmp_path / "call.wav")
    page.wait(lambda: page.text("batch-title").startswith("2 recordings: "))
    assert page.text("file") == "call.wav, channel 1"
    assert page.text("clock") == "0:00.0 / 0:08.8"
    for name, least in (("waveform", 2), ("spectrogram", 100), ("score", 4)):
        assert page.drawn(name) >= least, name


def test_the_http_interface_is_shown(page, address):
    page.browser.get(f"http://{address}/api.html")
    page.wait(lambda: "POST http://127.0.0.1:5001/invocations" in page.text("operations"))
    assert "spoof_probability" in page.text("operations")


def test_dark_and_light_follow_the_system(page, recordings):
    background = "getComputedStyle(document.body).backgroundColor"
    page.drop(recordings / "c.ogg")
    light, light_plot = page.js(background), page.js("document.getElementById('score').toDataURL()")
    page.colours("dark")
    page.wait(lambda: page.js(background) != light)
    page.wait(lambda: page.js("document.getElementById('score').toDataURL()") != light_plot)
    page.colours("light")
    page.wait(lambda: page.js("document.getElementById('score').toDataURL()") == light_plot)
    assert page.js(background) == light


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_of_a_narrow_screen(page, recordings, width):
    page.shape(width, 700)
    page.drop(*sorted(recordings.iterdir()))
    page.element("rows").find_element("xpath", ".//button[text()='c.ogg']").click()
    assert page.js("document.documentElement.scrollWidth") == width
    for name in ("choose", "record", "headline", "stack", "score", "facts", "csv"):
        rect = page.element(name).rect
        assert rect["x"] >= 0, name
        assert rect["x"] + rect["width"] <= width, name
    assert page.drawn("score") > 3


def test_clearing_returns_to_the_beginning(page, recordings):
    page.drop(recordings / "c.ogg", recordings / "=1+2.flac")
    page.element("clear").click()
    assert not page.element("detail").is_displayed()
    assert not page.element("batch").is_displayed()
    assert page.browser.find_element("tag name", "h1").is_displayed()
