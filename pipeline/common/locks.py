"""Locks between processes: what two of them must not write at once. The system gives a lock back however its holder
ends, so none is left behind by a kill.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import ProjectError


def take(file: IO, otherwise: ProjectError) -> None:
    """Lock an open file until it is closed; raises ``otherwise`` where another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise otherwise from None


@contextmanager
def held(path: Path, otherwise: ProjectError) -> Iterator[None]:
    """Hold the lock of ``path``, an empty file that stays, inside the block; raises as ``take`` does."""
    with path.open("w") as file:
        take(file, otherwise)
        yield
