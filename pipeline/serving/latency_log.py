"""Latency log of a server process: a JSON line at intervals while there is work.

A line covers the time since the previous line: requests and clips, failures, clips per second and latency percentiles.
It also counts latencies in classes, so that ``pipeline.latency`` can merge lines and processes.
"""

import contextlib
import datetime
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.common import files
from pipeline.serving import settings

PERCENTILES = (50, 95, 99)
CLASSES_PER_DECADE = 50
"""Number of latency classes; each is 4.7 % wide."""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Smallest of the ascending values that at least ``percent`` % of them do not exceed."""
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def spread(values: Iterable[float]) -> dict[str, float]:
    """``p50``, ``p95``, ``p99`` and ``max`` of one or more values."""
    ordered = sorted(values)
    return {f"p{percent}": percentile(ordered, percent) for percent in PERCENTILES} | {"max": ordered[-1]}


def class_of(latency_ms: float) -> int:
    """Number of the latency class of a time."""
    return math.floor(CLASSES_PER_DECADE * math.log10(max(latency_ms, 1e-3)))


def middle_ms(number: int) -> float:
    """Middle of a latency class, in ms."""
    return 10 ** ((number + 0.5) / CLASSES_PER_DECADE)


class LatencyLog:
    """Collect requests and clips of a server process, and write a line about them at intervals.

    Parameters
    ----------
    path : file to append lines to; ``None``: standard error. Several processes may share it. Raises ``ConfigError`` if
        it cannot be written.
    every_s : time between two lines, in s; no line is written for an interval without work.
    """

    def __init__(self, path: Path | None, every_s: float):
        self._path, self._every_s = path, every_s
        if path is not None:
            settings.check_log("log", path)
        self._lock = threading.Lock()
        self._clear()

    def start(self) -> None:
        """Write lines from a separate thread until the process ends."""
        threading.Thread(target=self._keep_writing, name="latency log", daemon=True).start()

    def request(self, latency_ms: float, *, refused: bool) -> None:
        """Add a request, timed from arrival to answer; ``refused``: the status of the answer is 400 or more."""
        with self._lock:
            self._requests_ms.append(latency_ms)
            self._refused += refused

    def clip(self, latency_ms: float, *, duration_s: float, failed: bool) -> None:
        """Add a recording, timed from decoding to score."""
        with self._lock:
            self._clips_ms.append(latency_ms)
            self._audio_s += duration_s
            self._failed += failed

    def write(self) -> None:
        """Write a line about everything since the previous line, if there was any work; a full disk costs the line."""
        line = self._line()
        if line is None:
            return
        text = json.dumps(line) + "\n"
        try:
            if self._path is None:
                sys.stderr.write(text)
                sys.stderr.flush()
            else:
                files.append(self._path, text)
        except OSError as error:
            with contextlib.suppress(OSError):  # standard error may be what fails
                print(f"a line is missing in SPOOF_SERVE_LOG: {error.strerror or error}", file=sys.stderr)

    def _line(self) -> dict | None:
        with self._lock:
            spent_s = max(time.monotonic() - self._since, 1e-3)
            times = {"request_ms": self._requests_ms, "clip_ms": self._clips_ms}
            line = {
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
                "pid": os.getpid(),
                "seconds": round(spent_s, 3),
                "requests": len(self._requests_ms),
                "refused": self._refused,
                "clips": len(self._clips_ms),
                "failed": self._failed,
                "audio_s": round(self._audio_s, 2),
                "clips_per_s": round(len(self._clips_ms) / spent_s, 2),
            }
            self._clear()
        for name, values in times.items():
            if values:
                counts = Counter(map(class_of, values))
                line[name] = {key: round(value, 2) for key, value in spread(values).items()}
                line[name]["counts"] = {str(key): counts[key] for key in sorted(counts)}
        return line if any(times.values()) else None

    def _clear(self) -> None:
        self._since = time.monotonic()
        self._requests_ms: list[float] = []
        self._clips_ms: list[float] = []
        self._refused = self._failed = 0
        self._audio_s = 0.0

    def _keep_writing(self) -> None:
        while True:
            time.sleep(self._every_s)
            self.write()
