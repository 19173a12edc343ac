"""Clients that send requests as fast as a server answers, and record its answers."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.server import Server


@dataclass
class Load:
    """Answers, failures and latencies that clients recorded, and the server's memory over time."""

    seconds: float = 0.0
    requests_ms: list[float] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory_bytes: list[tuple[float, int]] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """Failed requests and rows with an error."""
        return self.failures + [row["error"] for row in self.rows if row["error"]]


def load(server: Server, bodies: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Send requests from many clients at once; each sends its next body as soon as it has the answer."""
    found, lock = Load(), threading.Lock()
    next_body = itertools.cycle(bodies)
    started = time.monotonic()

    def client() -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
        while time.monotonic() - started < seconds:
            with lock:
                body = next(next_body)
            asked = time.perf_counter()
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except OSError as error:
                connection.close()
                status, text = 0, repr(error).encode()
            else:
                status = answer.status
            spent_ms = 1000 * (time.perf_counter() - asked)
            with lock:
                if status == 200:
                    found.requests_ms.append(spent_ms)
                    found.rows += json.loads(text)["predictions"]
                else:
                    found.failures.append(f"{status} {text[:200].decode(errors='replace')}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found.memory_bytes.append((time.monotonic() - started, server.memory_bytes()))
        time.sleep(0.25)
    found.seconds = time.monotonic() - started
    return found
