"""Work on several cores: results in order, and workers that end with their parent, however that ends."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from pipeline.common import parallel
from pipeline.common.parallel import WorkerDiedError
from pipeline.config import PROJECT_ROOT

DEMO = """
import sys, time
from pipeline.corpora import made

def slow(item):
    time.sleep(60)

if __name__ == "__main__":
    for _ in made.on_all_cores(slow, range(8), what="slow"):
        pass
"""


def test_results_come_in_order_and_a_bounded_way_ahead():
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.02 if number % 2 else 0)
        return number**2

    with ThreadPoolExecutor(2) as pool:
        results = parallel.in_order(pool, work, range(20), ahead=4)
        assert next(results) == 0
        time.sleep(0.2)
        assert len(begun) <= 5
        assert list(results) == [number**2 for number in range(1, 20)]


def test_cores_are_counted_on_systems_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    assert parallel.cores() == (os.cpu_count() or 1)


def test_a_worker_that_dies_names_what_waits():
    pool = parallel.workers(2)
    found = parallel.in_order(pool, time.sleep, [0, 30, 30, 30], ahead=4)
    next(found)
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    with pytest.raises(WorkerDiedError) as died:
        list(found)
    assert died.value.waiting == [30, 30, 30]


def test_the_demos_workers_end_with_a_killed_parent(tmp_path):
    program = tmp_path / "demo_pool.py"
    program.write_text(DEMO)
    process = psutil.Popen(
        [sys.executable, str(program)], env={"PYTHONPATH": str(PROJECT_ROOT)}, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(workers := [c for c in process.children() if "spawn_main" in " ".join(c.cmdline())]) < parallel.cores():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(3)  # until they have begun
    process.kill()
    process.wait()
    assert not psutil.wait_procs(workers, timeout=20)[1]
