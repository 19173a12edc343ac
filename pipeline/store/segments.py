"""Spoofed segments of recordings that are spoofed in part, as two columns of the Manifest.

``spoof_start_s`` and ``spoof_end_s`` hold the starts and ends in seconds, in order of time, several separated by
semicolons. Both empty: the whole recording is what its label says.
"""

import math
from collections.abc import Iterable

import pandas as pd

from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError

COLUMNS = ("spoof_start_s", "spoof_end_s")
Segments = tuple[tuple[float, float], ...]
"""Start and end in s of each spoofed segment, in order of time, none overlapping another."""


def parse(starts: str, ends: str) -> Segments:
    """Segments of two cells; raises ``ValueError`` with the reason."""
    cells = [[cell.strip() for cell in text.split(";")] if text.strip() else [] for text in (starts, ends)]
    if len(cells[0]) != len(cells[1]):
        raise ValueError(f"has {len(cells[0])} starts and {len(cells[1])} ends; give one end for each start")
    try:
        found = tuple(zip(map(float, cells[0]), map(float, cells[1]), strict=True))
    except ValueError:
        raise ValueError("holds something that is no number; write seconds, several separated by semicolons") from None
    before = 0.0
    for start, end in found:
        if not (before <= start < end < math.inf):
            raise ValueError(f"has {start:g} to {end:g} s after {before:g} s; segments end after they start, in order")
        before = end
    return found


def cells(segments: Iterable[tuple[float, float]]) -> dict[str, str]:
    """Inverse of ``parse``: the cell of each column."""
    found = list(segments)
    return {name: ";".join(f"{one[place]:.10g}" for one in found) for place, name in enumerate(COLUMNS)}


def check(table: pd.DataFrame) -> None:
    """Raise ``CorpusError`` for the first row whose segments cannot be."""
    present = [name for name in COLUMNS if name in table]
    if len(present) == 1:
        missing = next(name for name in COLUMNS if name not in present)
        raise CorpusError(f"column {missing!r} is missing beside {present[0]!r}; segments need both")
    if not present:
        return
    listed = table[(table[COLUMNS[0]] != "") | (table[COLUMNS[1]] != "")]
    for path, label, *given in listed[["path", "label", *COLUMNS]].itertuples(index=False):
        shown = " and ".join(f"{name} {value!r}" for name, value in zip(COLUMNS, given, strict=True))
        try:
            parse(*given)
        except ValueError as error:
            raise CorpusError(f"{path}: {shown}: {error}") from None
        if label == BONAFIDE:
            raise CorpusError(f"{path}: {shown} in a recording labelled {BONAFIDE}; label it {SPOOF}, or empty both")


def beyond_end(table: pd.DataFrame) -> pd.Series:
    """Which rows list a segment that starts at or after the end of the recording (``duration_s``)."""
    if COLUMNS[0] not in table:
        return pd.Series(False, index=table.index)
    last = pd.to_numeric(table[COLUMNS[0]].str.rpartition(";")[2], errors="coerce")
    return last >= table["duration_s"]
