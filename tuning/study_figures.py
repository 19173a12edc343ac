"""Figures of a study: table of trials in, matplotlib ``Figure`` out.

Optuna's own figures leave out pruned trials and cut labels; these show every trial in the project's style.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from pipeline.reporting import style
from pipeline.reporting.style import BLUE, INK, ORANGE
from tuning import results, study
from tuning.objective import OBJECTIVES

LIGHT = "#b5b5b5"
MIN_IMPORTANCE_TRIALS = 4
POINTS = {
    "pruned": {"marker": "x", "color": LIGHT, "markersize": 6, "markeredgewidth": 1.6},
    "complete": {"marker": "o", "color": BLUE, "markersize": 6.5, "markeredgecolor": "white"},
    study.DEFAULT: {"marker": "s", "color": ORANGE, "markersize": 8, "markeredgecolor": "#7a5400"},
}
CURVES = {
    "pruned": {"color": LIGHT, "linewidth": 1.1, "marker": "x", "markevery": [-1], "zorder": 1},
    "complete": {"color": BLUE, "linewidth": 1.1, "alpha": 0.6, "zorder": 2},
    study.DEFAULT: {"color": ORANGE, "linewidth": 2.2, "linestyle": "--", "zorder": 3},
    "best": {"color": INK, "linewidth": 2.4, "zorder": 4},
}


def draw(own: optuna.Study) -> dict[str, bytes]:
    """Draw the figures as PNG by name; leave out those that the study has too few trials for."""
    settings, table = study.settings_of(own), results.table(own)
    shown = table[table["state"].isin(["complete", "pruned"])].reset_index(drop=True)
    if not (shown["state"] == "complete").any():
        return {}
    first = settings.objectives[0]
    drawn = {"history": history(shown, first), "slices": slices(shown, settings.space, first)}
    if len(settings.objectives) > 1:
        front = [one.number for one in own.best_trials]
        drawn["pareto_front"] = pareto_front(shown, settings.objectives[:2], front)
    elif curves := {t.number: t.intermediate_values for t in own.get_trials(deepcopy=False) if t.intermediate_values}:
        drawn["intermediate_values"] = intermediate_values(curves, shown, first)
    if weights := importances(own):
        drawn["importances"] = importance(weights, first)
    return {name: style.png(figure) for name, figure in drawn.items()}


def importances(own: optuna.Study) -> dict[str, float]:
    """Share of the variance that each parameter explains (fANOVA); empty if there are too few trials."""
    complete = own.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {one.values[0] for one in complete}
    varied = {name for one in complete for name in one.params}
    if len(complete) < MIN_IMPORTANCE_TRIALS or len(values) < 2 or len(varied) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(own, evaluator=evaluator, target=lambda one: one.values[0])


@style.styled
def history(table: pd.DataFrame, objective: str) -> Figure:
    """Objective of every trial in order, and the best so far."""
    figure, axes = _one(9.6, 4.4)
    values = _values(table, objective)
    _scatter(axes, table["trial"].to_numpy(), values, table)
    worst, best = (-np.inf, np.maximum) if _maximised(objective) else (np.inf, np.minimum)
    so_far = best.accumulate(np.where(table["state"] == "complete", values, worst))
    known = np.isfinite(so_far)
    axes.step(table["trial"][known], so_far[known], where="post", color=INK, linewidth=1.4, label="best so far")
    axes.set(xlabel="trial", ylabel=_label(objective))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.title_over_legend(figure, "Trials")
    return figure


@style.styled
def intermediate_values(curves: Mapping[int, Mapping[int, float]], table: pd.DataFrame, objective: str) -> Figure:
    """Objective of each trial after each of its epochs."""
    figure, axes = _one(9.6, 4.4)
    complete = table[table["state"] == "complete"].reset_index(drop=True)
    values = _values(complete, objective)
    best = complete["trial"][values.argmax() if _maximised(objective) else values.argmin()]
    looks = table["state"].mask(table["source"] == study.DEFAULT, study.DEFAULT).mask(table["trial"] == best, "best")
    for number, look in zip(table["trial"], looks, strict=True):
        if curve := curves.get(number):
            steps, reported = zip(*sorted(curve.items()), strict=True)
            label = None if look in axes.get_legend_handles_labels()[1] else look
            axes.plot(steps, _scale(objective) * np.array(reported), **CURVES[look], label=label)
    axes.set(xlabel="epochs", ylabel=f"{_label(objective)}, best epoch so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.title_over_legend(figure, "Trials by epoch")
    return figure


@style.styled
def slices(table: pd.DataFrame, space: Mapping[str, BaseDistribution], objective: str) -> Figure:
    """Objective over each parameter."""
    columns = len(space) if len(space) < 5 else 3
    rows = -(-len(space) // columns)
    figure = Figure(figsize=(9.6, 1.1 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, (name, about) in zip(panels.flat, space.items(), strict=False):
        categorical = isinstance(about, CategoricalDistribution)
        place = table[name].map(about.choices.index) if categorical else table[name]
        values = _values(table, objective)
        _scatter(axes, place.to_numpy(dtype=float), values, table, labelled=axes is panels[0, 0])
        axes.set_xlabel(name)
        if categorical:
            ticks = [str(choice) for choice in about.choices]
            axes.set_xticks(range(len(ticks)), ticks, rotation=20 if max(map(len, ticks)) > 6 else 0)
            axes.set_xlim(-0.5, len(ticks) - 0.5)
        elif about.log:
            axes.set_xscale("log")
    for axes in list(panels.flat)[len(space) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(_label(objective))
    style.title_over_legend(figure, f"{OBJECTIVES[objective].title} by parameter")
    return figure


@style.styled
def importance(weights: Mapping[str, float], objective: str) -> Figure:
    """Share of the objective's variance that each parameter explains."""
    figure, axes = _one(7.4, 1.4 + 0.45 * len(weights))
    names = list(weights)[::-1]
    bars = axes.barh(names, [100 * weights[name] for name in names], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f %%", padding=4)
    axes.set(xlim=(0, 100), xlabel=f"share of the variance of {OBJECTIVES[objective].title} (%)")
    axes.grid(axis="y", visible=False)
    axes.set_title("Importance of the parameters")
    return figure


@style.styled
def pareto_front(table: pd.DataFrame, objectives: Sequence[str], front: Sequence[int]) -> Figure:
    """Two objectives against each other; no trial beats one of the front in both."""
    figure, axes = _one(9.6, 4.8)
    across, up = (_values(table, name) for name in reversed(objectives))
    _scatter(axes, across, up, table)
    chosen = table["trial"].isin(front).to_numpy()
    order = np.argsort(across[chosen])
    axes.plot(across[chosen][order], up[chosen][order], color=INK, linewidth=1.4, label="Pareto front")
    for x, y, number in zip(across[chosen], up[chosen], table["trial"][chosen], strict=True):
        axes.annotate(f"{number}", (x, y), (6, 5), textcoords="offset points", fontsize=9)
    axes.set(xlabel=_label(objectives[1]), ylabel=_label(objectives[0]))
    style.title_over_legend(figure, "Pareto front, with trial numbers")
    return figure


def _one(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, table: pd.DataFrame, *, labelled: bool = True) -> None:
    default = (table["source"] == study.DEFAULT) & (table["state"] == "complete")
    looks = table["state"].mask(default, study.DEFAULT).to_numpy()
    for name, look in POINTS.items():
        if (rows := looks == name).any():
            axes.plot(x[rows], y[rows], linestyle="none", **look, label=name if labelled else None)


def _values(table: pd.DataFrame, objective: str) -> np.ndarray:
    return table[OBJECTIVES[objective].metric].to_numpy(dtype=float) * _scale(objective)


def _maximised(objective: str) -> bool:
    return OBJECTIVES[objective].direction == "maximize"


def _scale(objective: str) -> float:
    return 100.0 if OBJECTIVES[objective].percent else 1.0


def _label(objective: str) -> str:
    return OBJECTIVES[objective].title + (" (%)" if OBJECTIVES[objective].percent else "")
