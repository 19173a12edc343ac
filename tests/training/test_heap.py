"""What is freed is used again, without the system clearing its pages anew."""

import platform
import subprocess
import sys

import pytest

from pipeline.config import PROJECT_ROOT

PAGES, TIMES = 16384, 10
TAKE_AND_FREE = f"""
import resource, sys, threading
from pipeline.training import heap

def take_and_free():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({TIMES}):
        b"x" * ({PAGES} * resource.getpagesize())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if sys.argv[1] == "kept":
    heap.keep_freed()
thread = threading.Thread(target=take_and_free)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in ways of its own")
def test_pages_are_cleared_once():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", TAKE_AND_FREE, how]
        return int(subprocess.run(command, check=True, capture_output=True, cwd=PROJECT_ROOT).stdout)

    assert faults("returned") > TIMES * PAGES * 0.9, "the system's way, or there is nothing to gain here"
    assert faults("kept") < 2 * PAGES
