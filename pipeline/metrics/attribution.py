"""Figures of source tracing: how often spoofs are attributed to the attack that made them."""

from collections.abc import Sequence

import numpy as np


def confusion(truth: Sequence[str], found: Sequence[str]) -> tuple[list[str], list[str], np.ndarray]:
    """Classes of the rows, classes of the columns, and how often each of the first was taken for each of the second.

    Both are sorted; the columns begin with those of the rows.
    """
    rows = sorted(set(truth))
    columns = rows + sorted(set(found) - set(rows))
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, ([rows.index(name) for name in truth], [columns.index(name) for name in found]), 1)
    return rows, columns, counts


def macro_f1(truth: Sequence[str], found: Sequence[str]) -> float:
    """Mean of the F1 of the classes that occur in ``truth``, each of the same weight."""
    rows, _, counts = confusion(truth, found)
    right = np.diagonal(counts)
    return float(np.mean(2 * right / (counts.sum(axis=1) + counts.sum(axis=0)[: len(rows)])))
