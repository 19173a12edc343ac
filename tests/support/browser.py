"""A real headless Chromium for tests, and the page in it as a visitor finds it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT_S = 60


@contextmanager
def chromium(downloads: Path, *flags: str) -> Iterator["webdriver.Chrome"]:  # noqa: F821
    """Chromium with a microphone that beeps, saving what it downloads; the test is skipped where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "mute-audio", *flags):
        options.add_argument(f"--{flag}")
    for flag in ("fake-device", "fake-ui"):
        options.add_argument(f"--use-{flag}-for-media-stream")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    # With the driver's place given, Selenium looks for none elsewhere.
    browser = webdriver.Chrome(options=options, service=Service(driver, env={**os.environ, "SE_OFFLINE": "true"}))
    try:
        yield browser
    finally:
        browser.quit()


def complaints(browser) -> list[str]:
    """What the console said since the last call, without what Chromium's own pages say there."""
    return [entry["message"] for entry in browser.get_log("browser") if not entry["message"].startswith("chrome")]


def asked(browser, page: str) -> set[str]:
    """Addresses that documents whose own address begins with `page` asked for since the last call; Chromium's own
    pages ask for their parts at any time.
    """
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return {request["request"]["url"] for request in sent if request["documentURL"].startswith(page)}


class Page:
    """The page in a browser, as a visitor finds it."""

    def __init__(self, browser, address: str):
        self.browser = browser
        self.shape(1200, 900)
        self.colours("light")
        browser.get(f"http://{address}/")
        self.wait(lambda: self.text("model"))

    def shape(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def element(self, name: str):
        return self.browser.find_element("id", name)

    def text(self, name: str) -> str:
        return self.element(name).text

    def js(self, expression: str):
        return self.browser.execute_script(f"return {expression}")

    def wait(self, condition) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, WAIT_S, poll_frequency=0.05).until(lambda _: condition())

    def drop(self, *paths: Path) -> None:
        """Choose files, and wait until each is judged."""
        self.element("files").send_keys("\n".join(map(str, paths)))
        self.wait(lambda: "to come" not in self.js("document.getElementById('batch-title').textContent"))
        self.wait(lambda: self.text("headline") not in ("", "Scoring"))

    def press(self, *keys: str) -> None:
        self.element("stack").send_keys(*keys)

    def now_s(self) -> float:
        return float(self.element("stack").get_attribute("aria-valuenow"))

    def drawn(self, name: str) -> int:
        """Number of different colours on a canvas."""
        return self.js(
            f"(() => {{ const c = document.getElementById('{name}'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size; })()"
        )
