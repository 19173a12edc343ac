"""Memory that a training frees is kept for its next step.

Each step asks for the tensors of the step before. glibc gives large blocks back to the system as soon as they are
freed, and the system clears every page before it hands it out again.
"""

import ctypes

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Parameters of mallopt(3), as glibc's ``malloc.h`` numbers them."""
NEVER = 2**31 - 1


def keep_freed() -> None:
    """Let this process keep what it frees, for the rest of its life: it stays as large as it was at its peak.

    To be called before threads start, as those that are there keep to heaps of their own. Nothing happens where the
    C library is not glibc.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    for parameter, value in ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER)):
        library.mallopt(parameter, value)
