"""Confusion matrix of source tracing: the attack that made a spoof against the one it is attributed to."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.reporting.style import INK, styled

CELL_IN, MARGIN_IN = 0.62, 3.2
MOST_NUMBERED = 30
"""Columns up to which the cells show their counts."""


@styled
def confusion(rows: Sequence[str], columns: Sequence[str], counts: np.ndarray, *, title: str) -> Figure:
    """Draw counts ``[rows, columns]``, shaded by the share of their row."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    size = (MARGIN_IN + CELL_IN * len(columns), MARGIN_IN + CELL_IN * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column] and len(columns) <= MOST_NUMBERED:
            ink = "white" if share > 0.55 else INK
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=12, color=ink)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [f"{name} ({n:,})" for name, n in zip(rows, counts.sum(axis=1), strict=True)])
    axes.set(xlabel="Attributed to", ylabel="Made by")
    axes.set_title(title)
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
