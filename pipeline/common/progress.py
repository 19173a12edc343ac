"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_S = 10.0


def track(items: Iterable[T], *, total: int, what: str, unit: str = "clip", done: int = 0) -> Iterator[T]:
    """Yield the items; show the number done, the rate per second and the time left on standard error.

    Parameters
    ----------
    total : number of items including the ``done`` ones.
    what : name of the work, shown in front ("preprocess").
    unit : singular name of an item.
    done : items that an earlier call finished; they count as done but not in the rate.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=what, unit=unit, initial=done, dynamic_ncols=True, smoothing=0.05)
        return
    started = last = time.monotonic()
    count = done
    for item in items:
        yield item
        count += 1
        now = time.monotonic()
        if now - last >= LOG_EVERY_S or count == total:
            rate = (count - done) / max(now - started, 1e-9)
            left_s = (total - count) / max(rate, 1e-9)
            print(
                f"{what}: {count}/{total} {unit}s, {rate:.1f} {unit}s/s, {left_s:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            last = now
