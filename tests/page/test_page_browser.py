"""The page as visitors use it, in a real headless Chromium."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.scoring.detector import Detector
from pipeline.scoring.row import COLUMNS
from tests.page.conftest import JOB_MB, MAX_MB
from tests.support.browser import Page, asked, chromium, complaints


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
