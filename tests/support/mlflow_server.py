"""A real ``mlflow server`` that can be killed and brought back at the same address with all that it had."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

START_S = 400


class TrackingServer:
    """A tracking server and registry over SQLite in a folder; ``url`` is its address also while it is down."""

    def __init__(self, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and not killed."""
        return self._process is not None

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}"]
        command += ["--artifacts-destination", str(self._folder / "server-artifacts")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes for jobs of language models
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=self._folder, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=2).status == 200
        except OSError:
            return False
