"""A real ``mlflow models serve`` process for tests and benchmarks: start, request, measure, stop."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

START_S = 120
MODEL = "models:/spoof-detector@champion"


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: psutil.Process

    def post(self, body: bytes, content_type: str = "application/json", timeout_s: float = 120) -> tuple[int, dict]:
        """Send a body; returns status and answer."""
        request = urllib.request.Request(f"{self.url}/invocations", body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def score(self, **body: object) -> list[dict]:
        """Score a request that must succeed; returns its rows."""
        status, answer = self.post(json.dumps(body).encode())
        assert status == 200, answer
        return answer["predictions"]

    def memory_bytes(self) -> int:
        """Resident memory of the server's processes."""
        return sum(child.memory_info().rss for child in [self.process, *self.process.children(recursive=True)])


def mlflow_command(*arguments: str, env_manager: str = "local") -> list[str]:
    """Command line of ``mlflow models`` in this environment."""
    return [str(Path(sys.executable).with_name("mlflow")), "models", *arguments, "--env-manager", env_manager]


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(
    *, log: Path, model: str = MODEL, workers: int = 1, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """Serve on a free port of this machine, with output in ``log``; stops after the block."""
    port = free_port()
    command = mlflow_command("serve", "-m", model, "-p", str(port), "-h", "127.0.0.1", "-w", str(workers))
    with running(command, f"http://127.0.0.1:{port}", "ping", log=log, environment=environment) as process:
        yield Server(f"http://127.0.0.1:{port}", process)


@contextmanager
def running(
    command: Sequence[str], url: str, ready: str, *, log: Path, environment: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Start a server, wait until the page ``ready`` answers; stops it and its children after the block."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("w") as output:
        process = psutil.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": path, **(environment or {})},
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(f"{url}/{ready}"):
            assert process.poll() is None, f"the server stopped: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.2)
        yield process
    finally:
        if process.poll() is None:
            family = [*process.children(recursive=True), process]
            for member in family:
                member.terminate()
            psutil.wait_procs(family, timeout=20)


def _answers(page: str) -> bool:
    try:
        urllib.request.urlopen(page, timeout=2).read()
    except OSError:
        return False
    return True
