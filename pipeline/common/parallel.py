"""Work on several cores: how many there are, processes that end with their parent, and results in order.

A parent that is killed cannot stop its workers. If they lived on, their writes would meet those of the next run of the
same command.
"""

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import connection
from typing import TypeVar

T, R = TypeVar("T"), TypeVar("R")
AHEAD = 8
"""Items per worker that are submitted before their results are read."""


class WorkerDiedError(Exception):
    """A worker ended in the middle of its work, perhaps for want of memory.

    ``waiting`` holds the items without a result, the earliest first.
    """

    def __init__(self, waiting: list):
        super().__init__(f"a worker died at one of {len(waiting)} items")
        self.waiting = waiting


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def workers(size: int, initialise: Callable[..., None] | None = None, *arguments: object) -> ProcessPoolExecutor:
    """Pool of processes that end with this one; each first calls ``initialise`` with the arguments.

    Processes are spawned: a fork would lack the threads of the parent's interpreters and of its BLAS.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(size, context, _begin, (initialise, arguments))


def in_order(pool: Executor, function: Callable[[T], R], items: Iterable[T], *, ahead: int) -> Iterator[R]:
    """Results in the order of the items; at most ``ahead`` items are submitted before their results are read.

    Raises ``WorkerDiedError`` if a process of the pool ends. Ends the pool after the last result,
    or when the reader stops early; items that have not begun are then cancelled.
    """
    remaining = iter(items)
    waiting = deque((item, pool.submit(function, item)) for item in itertools.islice(remaining, ahead))
    try:
        while waiting:
            result = waiting[0][1].result()
            waiting.popleft()
            waiting.extend((item, pool.submit(function, item)) for item in itertools.islice(remaining, 1))
            yield result
    except BrokenExecutor:
        raise WorkerDiedError([item for item, _ in waiting]) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, for whatever reason."""
    threading.Thread(target=_wait, daemon=True).start()


def _begin(initialise: Callable[..., None] | None, arguments: tuple) -> None:
    end_with_parent()
    if initialise:
        initialise(*arguments)


def _wait() -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
