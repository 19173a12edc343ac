"""Peak memory of a process and its children, without the files that they map."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY_S = 0.5
"""Each reading walks all pages of a process and slows it down."""


@dataclass
class Peak:
    """The largest sum seen so far."""

    bytes: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Record the peak of a process and its children inside the block, twice per second (Linux)."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_S):
            peak.bytes = max(peak.bytes, _held(pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _held(pid: int) -> int:
    """Bytes of anonymous memory; pages that several processes share count in proportion."""
    total = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            lines = Path(f"/proc/{member.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:  # it has ended
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total
