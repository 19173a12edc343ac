"""Streams at once over the page's WebSocket: steps dropped and latency, with clients that send in real time.

Server and clients share the cores. The audio is noise: the cost of a step does not depend on it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import psutil
import websocket

from pipeline.config import PROJECT_ROOT, SAMPLE_RATE_HZ
from pipeline.scoring import model_folders

PIECE_S = 0.1
"""Audio per message."""
TARGET = "target on 2 cores with a small model: 50 streams without a dropped step"


class Caller(threading.Thread):
    """One client: sends noise in real time, and keeps the lines of the server."""

    def __init__(self, address: str, seconds: float, delay_s: float, seed: int):
        super().__init__()
        self._address, self._seconds, self._delay_s = address, seconds, delay_s
        self._noise = np.random.default_rng(seed).normal(0, 1000, SAMPLE_RATE_HZ).astype("<i2")
        self.latencies_ms: list[float] = []
        self.dropped = 0
        self.failure = ""

    def run(self) -> None:
        """Stream until the time is over."""
        time.sleep(self._delay_s)
        try:
            client = websocket.create_connection(f"ws://{self._address}/stream", timeout=60)
            reader = threading.Thread(target=self._read, args=(client,))
            reader.start()
            started, size = time.monotonic(), round(PIECE_S * SAMPLE_RATE_HZ)
            for number in range(round(self._seconds / PIECE_S)):
                time.sleep(max(0.0, started + (number + 1) * PIECE_S - time.monotonic()))
                client.send_binary(np.roll(self._noise, -number * size)[:size].tobytes())
            client.send("end")
            reader.join(60)
        except (OSError, websocket.WebSocketException) as error:
            self.failure = self.failure or repr(error)

    def _read(self, client: websocket.WebSocket) -> None:
        while text := client.recv():
            line = json.loads(text)
            if "summary" in line:
                return
            self.latencies_ms.append(line["latency_ms"])
            self.dropped += line["dropped"]
        self.failure = "closed by the server"


def measured(address: str, server: psutil.Process, streams: int, seconds: float) -> str:
    """Row of the table for a number of streams."""
    callers = [Caller(address, seconds, number / streams, number) for number in range(streams)]
    before, started = sum(server.cpu_times()[:2]), time.monotonic()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    busy = (sum(server.cpu_times()[:2]) - before) / (time.monotonic() - started)
    latencies = np.concatenate([caller.latencies_ms for caller in callers])
    p50, p99, largest = np.percentile(latencies, [50, 99, 100])
    failed = sum(bool(caller.failure) for caller in callers)
    dropped = sum(caller.dropped for caller in callers)
    return (
        f"| {streams} | {dropped} of {dropped + len(latencies)} | {failed} | {p50:.0f} | {p99:.0f} | {largest:.0f} "
        f"| {busy:.2f} | {server.memory_info().rss / 1e6:.0f} |"
    )


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="", help="model folder (default: the champion)")
    parser.add_argument("--streams", type=int, nargs="+", default=[10, 25, 50], help="streams at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="audio per stream (default: %(default)s)")
    options = parser.parse_args()
    model = model_folders.find(options.model).resolve()
    with tempfile.TemporaryDirectory() as artifacts:
        command = [sys.executable, "-m", "pipeline.page", "--model", str(model), "--port", "0", "--job_mb", "0"]
        process = subprocess.Popen(
            [*command, "--max_streams", str(max(options.streams))],
            cwd=PROJECT_ROOT,
            env=os.environ | {"SPOOF_ARTIFACTS": artifacts},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            line = process.stdout.readline()
            address = line.split("http://")[1].strip()
            print(f"{model_folders.ModelFolder.load(model).model_version}, {os.cpu_count()} cores, "
                  f"load before {os.getloadavg()[0]:.1f}; {TARGET}")  # fmt: skip
            print("| streams | steps dropped | failed | p50 ms | p99 ms | max ms | cores of the server | MB |")
            print("|---|---|---|---|---|---|---|---|")
            for streams in options.streams:
                print(measured(address, psutil.Process(process.pid), streams, options.seconds), flush=True)
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
