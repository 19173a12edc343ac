"""Curves and charts of an evaluation: data in, a matplotlib ``Figure`` out, in the look of ``style``."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from scipy.special import expit, ndtri
from scipy.stats import binomtest

from pipeline import metrics
from pipeline.metrics import Confusion
from pipeline.reporting.style import (
    BLUE,
    BONAFIDE_LOOK,
    FIGURE_SIZE,
    GREY,
    INK,
    LINES,
    SPOOF_LOOK,
    signed,
    styled,
    title_over_legend,
)

PERCENT_TICKS = (0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99, 99.5, 99.9)
MAX_BARS = 40
Trials = tuple[np.ndarray, np.ndarray]
"""Scores (higher = bonafide) and labels (true = bonafide), each ``[trials]``."""


@styled
def training_curves(
    history: Mapping[str, Sequence[tuple[int, float]]], *, kept_epoch: int | None = None, title: str = "Training"
) -> Figure:
    """Loss, EER and AUC by epoch.

    Parameters
    ----------
    history : (epoch, value) pairs by metric name (``train/loss``, ``dev/eer`` …), epochs counted from 0.
    kept_epoch : epoch whose weights were kept, marked by a line.
    """
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    panels = (("loss", "Cross-entropy (nats)", 1), ("eer", "EER (%)", 100), ("auc", "ROC AUC", 1))
    for axes, (metric, label, factor) in zip(figure.subplots(1, 3), panels, strict=True):
        for subset, look, marker in zip(("train", "dev"), LINES, "os", strict=False):
            points = history.get(f"{subset}/{metric}", ())
            if len(points):
                epochs, values = np.array(sorted(points)).T
                axes.plot(epochs + 1, factor * values, **look, marker=marker, markersize=4, label=subset)
        if kept_epoch is not None:
            axes.axvline(kept_epoch + 1, color=GREY, linestyle=":", linewidth=1.5, label="epoch kept")
        last = max((epoch for points in history.values() for epoch, _ in points), default=0)
        axes.set(xlabel="Epoch", ylabel=label, xlim=(0.5, last + 1.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(y=0.08)
        if metric != "auc":
            axes.set_ylim(bottom=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.suptitle(title, x=0.01, ha="left")
    figure.legend(handles, labels, loc="upper right", ncols=3, borderaxespad=0.2)
    return figure


@styled
def confusion(counts: Confusion, *, title: str = "Confusion matrix", threshold: float | None = None) -> Figure:
    """Draw decisions against truth, with the count and the share of its row in each cell."""
    cells = np.array(
        [[counts.true_bonafide, counts.false_spoof], [counts.false_bonafide, counts.true_spoof]], dtype=float
    )
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ink = "white" if share > 0.55 else INK
        axes.text(column, row - 0.06, f"{int(cells[row, column]):,}", ha="center", fontsize=18, color=ink)
        axes.text(column, row + 0.2, f"{100 * share:.1f} %", ha="center", fontsize=11, color=ink)
    axes.set_xticks([0, 1], ["bonafide", "spoof"])
    axes.set_yticks([0, 1], [f"bonafide\n({int(cells[0].sum()):,})", f"spoof\n({int(cells[1].sum()):,})"])
    axes.set(xlabel="Decision" + ("" if threshold is None else f" at score {signed(threshold)}"), ylabel="Truth")
    axes.set_title(title)
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@styled
def roc(trials: Mapping[str, Trials], *, title: str = "ROC") -> Figure:
    """Draw the receiver operating characteristic of each named set of trials, with its area."""
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    for (name, (scores, labels)), look in zip(trials.items(), LINES, strict=False):
        points = _at_whole_ties(metrics.curve(scores, labels))
        area = metrics.auc(scores, labels)
        axes.plot(100 * points[1], 100 * (1 - points[0]), **look, label=f"{name}: AUC {area:.4f}")
    axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1.2, label="chance")
    axes.set(
        xlabel="Spoof taken for bonafide (false alarm, %)",
        ylabel="Bonafide recognised (%)",
        xlim=(-1, 101),
        ylim=(-1, 101),
        aspect="equal",
    )
    axes.set_title(title)
    axes.legend(loc="lower right")
    return figure


@styled
def det(trials: Mapping[str, Trials], *, title: str = "Detection error trade-off") -> Figure:
    """Draw miss against false alarm on normal-deviate axes, with the equal-error point of each named set of trials."""
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    draw_det(axes, trials)
    axes.set_title(title)
    return figure


def draw_det(axes: Axes, trials: Mapping[str, Trials]) -> None:
    """Draw ``det`` into axes of the common style."""
    finest = 0.05
    for (name, (scores, labels)), look, marker in zip(trials.items(), LINES, "osD^", strict=False):
        points = metrics.curve(scores, labels)
        # Rates of 0 and 1 lie at infinity; half a trial is as close to them as the data can say.
        rates = ((points.false_alarm, (~labels).sum()), (points.miss, labels.sum()))
        axes.plot(*(ndtri(np.clip(r, 0.5 / count, 1 - 0.5 / count)) for r, count in rates), **look)
        floor = 0.5 / len(labels)
        finest = min(finest, floor)
        rate = metrics.eer(scores, labels)
        at = ndtri(np.clip(rate, floor, 1 - floor))
        axes.plot(
            [at],
            [at],
            marker=marker,
            markersize=9,
            markeredgecolor="white",
            **look,
            label=f"{name}: EER {100 * rate:.2f} %",
        )
    low, high = ndtri(max(finest, 0.0005)) - 0.1, ndtri(0.65)
    axes.plot([low, high], [low, high], color=GREY, linestyle=":", linewidth=1.2, label="miss = false alarm")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(ndtri(np.array(PERCENT_TICKS) / 100)))
        axis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in PERCENT_TICKS]))
        axis.set_minor_locator(NullLocator())
    axes.set(
        xlabel="Spoof taken for bonafide (false alarm, %)",
        ylabel="Bonafide taken for spoof (miss, %)",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
    )
    axes.legend(loc="best", framealpha=0.9, frameon=True, edgecolor="none")


@styled
def score_histogram(
    scores: np.ndarray, labels: np.ndarray, *, threshold: float, threshold_name: str = "", title: str = "Scores"
) -> Figure:
    """Draw the share of each class by calibrated score, and the threshold."""
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    low, high = np.quantile(scores, [0.001, 0.999])
    low, high = min(low, threshold), max(high, threshold)
    margin = 0.03 * (high - low) or 0.5
    bins = np.linspace(low - margin, high + margin, 51)
    clipped = np.clip(scores, bins[0], bins[-1])
    for chosen, name, look in ((labels, "bonafide", BONAFIDE_LOOK), (~labels, "spoof", SPOOF_LOOK)):
        if chosen.any():
            weights = np.full(chosen.sum(), 100 / chosen.sum())
            axes.hist(clipped[chosen], bins, weights=weights, histtype="stepfilled", linewidth=1.2, **look)
            axes.patches[-1].set_label(f"{name} ({chosen.sum():,})")
    shown = f"threshold {threshold_name} {signed(threshold)}".replace("  ", " ")
    axes.axvline(threshold, color=INK, linestyle="--", linewidth=1.6, label=shown)
    axes.set(xlabel="Score: spoof ← → bonafide", ylabel="Share of class (%)")
    axes.margins(x=0)
    title_over_legend(figure, title)
    axes.grid(axis="x", visible=False)
    return figure


@styled
def reliability(
    scores: Mapping[str, np.ndarray], labels: np.ndarray, *, bins: int = 10, title: str = "Reliability"
) -> Figure:
    """Draw the share of bonafide found against the probability that scores state, both at even odds of the classes.

    Parameters
    ----------
    scores : log-likelihood ratios ``[trials]`` by name (calibrated, before calibration).
    bins : groups of equally many trials; bars are 95 % Wilson intervals.
    """
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfect")
    odds = np.log((~labels).sum() / labels.sum())
    for (name, values), look, marker in zip(scores.items(), LINES, "osD^", strict=False):
        groups = [g for g in np.array_split(np.argsort(values, kind="stable"), bins) if len(g)]
        stated = np.array([expit(values[g]).mean() for g in groups])
        found, low, high = np.array([_wilson(labels[g].sum(), len(g)) for g in groups]).T
        # From the share among these trials to the share if both classes were equally common.
        with np.errstate(divide="ignore"):
            found, low, high = (expit(np.log(p) - np.log1p(-p) + odds) for p in (found, low, high))
        bars = np.maximum([found - low, high - found], 0)
        axes.errorbar(
            stated, found, bars, **look, marker=marker, markersize=5, linewidth=1.6, capsize=2, elinewidth=1, label=name
        )
    axes.set(
        xlabel="Probability of bonafide that the score states",
        ylabel="Share of bonafide found",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    axes.set_title(title)
    axes.legend(loc="upper left")
    return figure


@styled
def attack_eer(
    names: Sequence[str],
    eers: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    *,
    seen: Sequence[bool | None],
    trials: Sequence[int],
    overall: float | None = None,
    title: str = "EER by attack",
) -> Figure:
    """Draw one bar per attack with its interval, the hardest on top; attacks that training did not use are hatched.

    Only the ``MAX_BARS`` hardest attacks are shown, and the title then states it.
    """
    order = sorted(range(len(names)), key=lambda i: -eers[i])[:MAX_BARS]
    figure = Figure(figsize=(7.4, 1.8 + 0.34 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    looks = {
        True: ("seen in training", {"facecolor": BLUE, "edgecolor": "#004a75"}),
        False: ("unseen", {"facecolor": "#F5C96B", "edgecolor": "#7a5400", "hatch": "///"}),
        None: ("unknown", {"facecolor": "#d0d0d0", "edgecolor": GREY}),
    }
    for kind, (name, look) in looks.items():
        chosen = [(y, i) for y, i in enumerate(order) if seen[i] is kind]
        if chosen:
            axes.barh([y for y, _ in chosen], [100 * eers[i] for _, i in chosen], height=0.66, label=name, **look)
    for y, i in enumerate(order):
        if intervals[i]:
            axes.plot(100 * np.array(intervals[i]), [y, y], color=INK, linewidth=1.4, marker="|", markersize=7)
        for x, text in ((1.11, f"{100 * eers[i]:.1f} %"), (1.25, f"{trials[i]:,}")):
            axes.text(x, y, text, transform=axes.get_yaxis_transform(), va="center", ha="right", fontsize=10)
    for x, text in ((1.11, "EER"), (1.25, "spoof\ntrials")):
        axes.text(x, 1, text, transform=axes.transAxes, va="bottom", ha="right", fontsize=9, color=GREY)
    if overall is not None:
        axes.axvline(
            100 * overall, color=INK, linestyle="--", linewidth=1.4, label=f"all attacks {100 * overall:.1f} %"
        )
    axes.set_yticks(range(len(order)), [names[i] for i in order])
    axes.set(xlabel="EER against all bonafide trials (%), with 95 % interval", ylim=(len(order) - 0.4, -0.6))
    axes.set_xlim(0, max(1.0, axes.get_xlim()[1]))
    more = f": the hardest {len(order)} of {len(names)}" if len(names) > len(order) else ""
    title_over_legend(figure, title + more)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return figure


def _at_whole_ties(points: metrics.Curve) -> tuple[np.ndarray, np.ndarray]:
    """Miss and false-alarm rates at thresholds between distinct scores."""
    whole = metrics.whole_ties(points)
    return points.miss[whole], points.false_alarm[whole]


def _wilson(hits: int, count: int) -> tuple[float, float, float]:
    """Share of hits and its 95 % Wilson interval."""
    low, high = binomtest(int(hits), count).proportion_ci(method="wilson")
    return hits / count, low, high
