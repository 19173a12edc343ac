"""Processes that work for another one and must not outlive it: a parent that is killed cannot tell them to stop.

What they then wrote would meet what the next run of the same command writes.
"""

import multiprocessing
import os
import threading
from multiprocessing import connection


def end_with_parent() -> None:
    """From here on, this process ends as soon as the one that started it is gone, however that ended."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
