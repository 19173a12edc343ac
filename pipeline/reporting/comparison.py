"""Table and figure of a comparison: means over the seeds, and every training.

Pure functions of the table that ``compare`` makes, a row per training.
"""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.reporting import style

MEASURES = ("dev", "seen", "unseen", "eval")
TITLES = {"dev": "dev", "seen": "eval, seen attacks", "unseen": "eval, unseen attacks", "eval": "eval"}


def markdown(table: pd.DataFrame, intervals: pd.DataFrame, differences: pd.DataFrame, families: pd.DataFrame) -> str:
    """Markdown table of the mean EER with its interval, of the cost, and of the gains over the yardstick.

    ``intervals`` has a row per configuration and pool of trials, ``families`` one per family of attacks, configuration
    and seed; it may be empty. Intervals with NaN ends, as of a single speaker, are not shown.
    """
    intervals = intervals.dropna()
    seeds = table.groupby("config", sort=False)["seed"].nunique().max()
    ends = {(row.config, row.pool): f" ({100 * row.low:.1f}–{100 * row.high:.1f})" for row in intervals.itertuples()}
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    lines = [
        f"EER in %{mean} (95 % interval over speakers)",
        "",
        "| configuration | " + " | ".join(TITLES[m] for m in MEASURES) + " | parameters | ms per clip | MB |",
        "|---|" + "---|" * (len(MEASURES) + 3),
    ]
    for name, own in table.groupby("config", sort=False):
        cells = [f"{100 * own[measure].mean():.1f}{ends.get((name, measure), '')}" for measure in MEASURES]
        cost = [f"{own['parameters'].iloc[0]:,}", f"{own['ms_per_clip'].median():.1f}", f"{own['size_mb'].iloc[0]:.1f}"]
        lines.append("| " + " | ".join([str(name), *cells, *cost]) + " |")
    for row in differences.itertuples():
        better = row.gain >= 0
        side, low, high = ("under", row.low, row.high) if better else ("over", -row.high, -row.low)
        points = f"{100 * abs(row.gain):.1f} points {side}"
        lines += ["", f"{row.config}: {points} {row.yardstick} on {row.attacks} attacks "]
        interval = f"{100 * low:.1f} to {100 * high:.1f}" if np.isfinite(low) else "not defined"
        lines[-1] += f"(95 % interval of the paired difference {interval})"
    if len(families):
        lines += [
            "",
            "| EER in % on a family of eval | trained with it | trained without it |",
            "|---|---|---|",
        ]
        for (name, family), own in families.groupby(["config", "family"], sort=False):
            lines.append(f"| {name}, {family} | {_spread(own['with'])} | {_spread(own['without'])} |")
    return "\n".join(lines) + "\n"


def picture(table: pd.DataFrame, intervals: pd.DataFrame) -> bytes:
    """Figure as PNG: bars are means over the seeds, dots the seeds, lines the intervals over speakers."""
    return style.png(_draw(table, intervals))


@style.styled
def _draw(table: pd.DataFrame, intervals: pd.DataFrame) -> Figure:
    names = list(dict.fromkeys(table["config"]))
    labels, shared = _labels(names)
    row_inches = max(0.42, 0.2 * max(label.count("\n") + 1 for label in labels))
    figure = Figure(figsize=(8.2, 2.2 + row_inches * len(names)), layout="constrained")
    if shared:
        figure.suptitle(textwrap.fill("all with " + ", ".join(shared), 100), fontsize=9)
    shown = ("dev", "seen", "unseen")
    ends = {(row.config, row.pool): (100 * row.low, 100 * row.high) for row in intervals.dropna().itertuples()}
    for number, (axes, measure) in enumerate(zip(figure.subplots(1, 3, sharex=True, sharey=True), shown, strict=True)):
        for y, name in enumerate(names):
            values = 100 * table.loc[table["config"] == name, measure].to_numpy()
            axes.barh(y, values.mean(), height=0.6, color="#cfe3f1", edgecolor=style.BLUE)
            low, high = ends.get((name, measure), (values.min(), values.max()))
            axes.plot([low, high], [y, y], color=style.BLUE, linewidth=1.2)
            axes.plot(values, np.full(len(values), y), "o", color=style.BLUE, markersize=4)
            axes.text(max(high, values.max()) + 1.5, y, f"{values.mean():.1f}", va="center", fontsize=9)
        axes.set_title(TITLES[measure].replace(", ", ",\n"))
        axes.set_xlabel("EER (%)")
        axes.grid(axis="y", visible=False)
        if number == 0:
            axes.set_yticks(range(len(names)), labels)
            axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.25 * 100 * float(np.nanmax([*table[list(shown)].max(), *intervals["high"]])))
    return figure


def _labels(names: list[str]) -> tuple[list[str], list[str]]:
    """Label of each configuration, one line per change, and the changes that all of them share."""
    bases, changes = zip(*((base, rest) for base, *rest in (name.split("+") for name in names)), strict=True)
    shared = [one for one in changes[0] if len(names) > 1 and all(one in own for own in changes)]
    own = ([one for one in given if one not in shared] for given in changes)
    return ["\n+ ".join([base, *rest]) for base, rest in zip(bases, own, strict=True)], shared


def _spread(values: pd.Series) -> str:
    mean = f"{100 * values.mean():.1f}"
    return mean if len(values) == 1 else f"{mean} ({100 * values.min():.1f}–{100 * values.max():.1f})"
