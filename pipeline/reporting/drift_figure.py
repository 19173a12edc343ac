"""Figure of drift: the quantiles of each column by day, over those of dev."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.reporting import style

MOST_DAYS = 31
NAMES = {
    "score": "score",
    "familiarity": "familiarity",
    "speech_share": "share of speech",
    "duration_s": "duration / s",
    "latency_ms": "latency / ms",
}
LOOKS = {"": (style.BLUE, "o", "no drift"), "watch": (style.ORANGE, "s", "watch"), "drift": ("#C25400", "D", "drift")}
"""Colour, marker and name of each state."""


def picture(
    days: Sequence["Day"],  # noqa: F821
    known: Mapping[str, tuple[np.ndarray, np.ndarray]],
    columns: Sequence[str],
    quantiles: Sequence[float],
) -> bytes:
    """The figure as PNG: a panel per column with findings, the newest ``MOST_DAYS`` days that have some.

    ``days`` are those of ``pipeline.drift``, at least one with findings; ``known`` holds values and weights of dev.
    """
    judged = [day for day in days if day.findings]
    return style.png(_draw(judged[-MOST_DAYS:], known, columns, quantiles))


@style.styled
def _draw(days: Sequence["Day"], known: Mapping, columns: Sequence[str], quantiles: Sequence[float]) -> Figure:  # noqa: F821
    shown = [name for name in columns if any(name in day.findings for day in days)]
    figure = Figure(figsize=(max(6.4, 2.2 + 0.55 * len(days)), 0.9 + 1.75 * len(shown)), layout="constrained")
    for axes, name in zip(figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0], shown, strict=True):
        if name in known:
            low, lower, middle, upper, high = _weighted_quantiles(*known[name], quantiles)
            axes.axhspan(low, high, color="#eeeeee", zorder=0)
            axes.axhspan(lower, upper, color="#d9d9d9", zorder=0)
            axes.axhline(middle, color=style.GREY, linewidth=1.2, linestyle=":", zorder=1)
        _days(axes, [day.findings.get(name) for day in days])
        axes.set_ylabel(NAMES[name], fontsize=10)
        axes.grid(visible=False)
    axes.set_xticks(range(len(days)), [day.name for day in days], rotation=45, ha="right", fontsize=9)
    axes.set_xlim(-0.6, len(days) - 0.4)
    marks = [Line2D([], [], color=c, marker=m, linestyle="", label=text) for c, m, text in LOOKS.values()]
    marks.append(Line2D([], [], color="#d9d9d9", linewidth=7, label="dev: half, and 90 %"))
    figure.legend(handles=marks, loc="outside upper left", ncols=4, fontsize=9, title="Median, half and 90 % of each "
                  "day; number: population stability index", alignment="left")  # fmt: skip
    return figure


def _days(axes: Axes, findings: Sequence["Finding | None"]) -> None:  # noqa: F821
    for x, found in enumerate(findings):
        if found:
            low, lower, middle, upper, high = found.quantiles
            colour, marker, _ = LOOKS[found.state]
            axes.plot([x, x], [low, high], color=colour, linewidth=1.2)
            axes.plot([x, x], [lower, upper], color=colour, linewidth=4.5, solid_capstyle="butt")
            axes.plot(x, middle, marker, color=colour, markeredgecolor="white", markersize=7)
            axes.annotate(
                f"{found.psi:.2f}", (x, high), (0, 3), textcoords="offset points", ha="center", fontsize=8, color=colour
            )
    axes.margins(y=0.22)


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return values[order][np.minimum(np.searchsorted(share, quantiles), len(values) - 1)]
