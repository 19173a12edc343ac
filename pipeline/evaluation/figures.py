"""All figures of an evaluation, and the two with intervals side by side: the rival's and robustness."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline import metrics
from pipeline.evaluation import robustness
from pipeline.evaluation.outcome import Outcome
from pipeline.metrics import attribution
from pipeline.metrics.assessment import Evaluation
from pipeline.metrics.paired_test import Difference
from pipeline.reporting import attack_figure, curves, store_figures, style, wording
from pipeline.store import manifest

BLANK = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
"""Background of text that a line would cross."""


def draw(outcome: Outcome) -> dict[str, bytes]:
    """The figures as PNG by name (``training_curves``, ``eval/roc``, ``examples/spoof`` …), in the report's order."""
    drawn = {}
    training, model = outcome.training, outcome.model
    if any(training.history.values()):
        drawn["training_curves"] = curves.training_curves(training.history, kept_epoch=training.kept_epoch)
    for e in outcome.evaluations:
        if not e.trials.empty:
            named = model.operating_point if len(model.operating_point) <= 12 else ""
            drawn |= of_subset(e, threshold=model.point().threshold, threshold_name=named)
    if outcome.rival:
        versions = model.model_version, outcome.rival.version
        for own, other in zip(outcome.evaluations, outcome.rival.evaluations, strict=True):
            if found := outcome.rival.differences.get(own.subset):
                scores = own.scores, other.scores
                drawn[f"{own.subset}/against"] = two_systems(versions, scores, own.labels, found, subset=own.subset)
    if outcome.robustness is not None:
        drawn["robustness"] = robustness_sweep(outcome.robustness, subset=outcome.main)
    drawn |= _examples(outcome)
    return {name: style.png(figure) for name, figure in drawn.items()}


def write(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Write figures as ``figures/NAME.png``."""
    for name, picture in pictures.items():
        path = folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)


def of_subset(e: Evaluation, *, threshold: float, threshold_name: str = "") -> dict[str, Figure]:
    """Figures of one subset by name (``eval/roc``); a subset of a single class has only those defined for it."""
    return {f"{e.subset}/{name}": figure for name, figure in _of_subset(e, threshold, threshold_name).items()}


def _of_subset(e: Evaluation, threshold: float, threshold_name: str) -> dict[str, Figure]:
    drawn = {
        "confusion": curves.confusion(
            metrics.confusion(e.scores, e.labels, threshold), threshold=threshold, title=f"Confusion matrix, {e.subset}"
        ),
        "scores": curves.score_histogram(
            e.scores,
            e.labels,
            threshold=threshold,
            threshold_name=threshold_name,
            title=f"Scores, {e.subset}",
        ),
    }
    if "attributed" in e.trials and (spoofs := e.trials[e.trials["made_by"] != ""]).size:
        found = attribution.confusion(spoofs["made_by"], spoofs["attributed"])
        drawn["attribution"] = attack_figure.confusion(*found, title=f"Attacks, {e.subset}")
    if e.note:
        return drawn
    pair = {e.subset: (e.scores, e.labels)}
    attacks = [g for g in e.groups if g.kind == "attack"]
    before = {"before calibration": e.trials["logit"].to_numpy()} if "logit" in e.trials else {}
    return drawn | {
        "roc": curves.roc(pair, title=f"ROC, {e.subset}"),
        "det": curves.det(pair, title=f"Detection error trade-off, {e.subset}"),
        "reliability": curves.reliability(
            {"calibrated" if before else "scores": e.scores, **before},
            e.labels,
            title=f"Reliability, {e.subset}",
        ),
        "attacks": curves.attack_eer(
            [wording.title(g) for g in attacks],
            [g.eer for g in attacks],
            [None if g.eer_low is None else (g.eer_low, g.eer_high) for g in attacks],
            seen=[g.seen for g in attacks],
            trials=[g.trials for g in attacks],
            overall=e.metrics["eer"],
            title=f"EER by attack, {e.subset}",
        ),
    }


def _examples(outcome: Outcome) -> dict[str, Figure]:
    """The log-mel spectrogram of one recording of each class, as long as one window."""
    store, config = outcome.store, outcome.model.config
    rows = np.concatenate([store.subset(e.subset) for e in outcome.evaluations])
    labels = store.manifest["label"].iloc[rows].to_numpy()
    return {
        f"examples/{label}": store_figures.example(
            store, int(rows[labels == label][0]), config.front_end, longest_s=config.window.clip_s
        )
        for label in manifest.LABELS
        if (labels == label).any()
    }


@style.styled
def two_systems(
    names: Sequence[str],
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    differences: Mapping[str, Difference],
    *,
    subset: str,
) -> Figure:
    """Error trade-off of both models, and the gain of the first on each group of trials.

    Parameters
    ----------
    names : of the model and of its rival.
    scores : of both, each ``[trials]``.
    differences : by name of the group, in the order shown.
    """
    figure = Figure(figsize=(11.0, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    curves.draw_det(left, {name: (own, labels) for name, own in zip(names, scores, strict=True)})
    left.set_title(f"Detection error trade-off, {subset}")
    for y, found in enumerate(differences.values()):
        if found.low is not None:
            right.plot(
                [100 * found.low, 100 * found.high],
                [y, y],
                color=style.INK,
                linewidth=1.6,
                marker="|",
                markersize=9,
            )
        right.plot([100 * found.difference], [y], "o", color=style.BLUE, markersize=8, markeredgecolor="white")
        eers = f"{100 * found.rival_eer:.1f} % → {100 * found.own_eer:.1f} %"
        right.annotate(
            eers, (100 * found.difference, y), (0, 9), textcoords="offset points", ha="center", fontsize=10, bbox=BLANK
        )
    right.axvline(0, color=style.GREY, linestyle="--", linewidth=1.4)
    right.set_yticks(range(len(differences)), list(differences))
    right.set_ylim(len(differences) - 0.4, -0.6)
    right.margins(x=0.15)
    reach = max(abs(x) for x in right.get_xlim())
    right.set_xlim(-reach, reach)
    right.set_xlabel(f"EER of {names[1]}\nminus EER of {names[0]} (percentage points)")
    right.set_title("Gain, with 95 % paired interval")
    small = {"transform": right.transAxes, "fontsize": 10, "color": style.GREY, "bbox": BLANK}
    right.text(0.99, 0.02, f"{names[0]} better →", ha="right", **small)
    right.text(0.01, 0.02, "← worse", ha="left", **small)
    right.grid(axis="y", visible=False)
    right.tick_params(axis="y", length=0)
    return figure


@style.styled
def robustness_sweep(table: pd.DataFrame, *, subset: str) -> Figure:
    """EER under each kind of degradation, with intervals; a line through all panels marks the clean EER."""
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    panels = figure.subplots(1, 5, sharey=True, width_ratios=[1.5, 1.35, 1.1, 0.75, 0.85])
    clean = table[table["condition"] == robustness.CLEAN].iloc[0]
    for axes in panels:
        axes.axhspan(100 * clean["eer_low"], 100 * clean["eer_high"], color="#e9e9e9", linewidth=0)
        axes.axhline(100 * clean["eer"], color=style.GREY, linestyle="--", linewidth=1.4)
    ends = [clean["value"]]
    for offset, (noise, look, marker) in enumerate(zip(robustness.NOISES, style.LINES, "os^", strict=False)):
        own = table[table["condition"] == noise]
        _points(panels[0], own, np.arange(len(own)) + 0.12 * (offset - 1), look=look, marker=marker, label=noise)
        ends = list(own["value"])
    panels[0].set_xticks(range(len(ends)), [value.removesuffix(" dB") for value in ends])
    panels[0].set(xlabel="Signal-to-noise ratio (dB)", ylabel=f"EER, {subset} (%)", title="Noise")
    for axes, condition, label, unit in (
        (panels[1], "codec", "Codec", ""),
        (panels[2], "duration", "Middle of the clip kept (s)", " s"),
        (panels[3], "level", "Gain (dB)", " dB"),
        (panels[4], "silence", f"{robustness.SILENCE_S:g} s behind", ""),
    ):
        own = table[table["condition"] == condition]
        look = {"color": style.BLUE, "linestyle": "-" if condition == "duration" else ""}
        _points(axes, own, np.arange(len(own)), look=look, marker="o")
        ticks = [
            value.removesuffix(unit).replace("-", "−") if unit else value.replace(" ", "\n", 1)
            for value in own["value"]
        ]
        axes.set_xticks(range(len(own)), ticks)
        axes.set(xlabel=label, title=condition.capitalize())
        axes.set_xlim(-0.5, len(own) - 0.5)
    for axes in panels:
        axes.grid(axis="x", visible=False)
    panels[0].set_ylim(bottom=0)
    handles, labels = panels[0].get_legend_handles_labels()
    note = f"dashed: clean, {100 * clean['eer']:.1f} %, with its interval"
    figure.legend(handles, labels, loc="outside lower left", ncols=3, fontsize=10, title=note, alignment="left")
    return figure


def _points(axes: Axes, table: pd.DataFrame, x: np.ndarray, *, look: dict, marker: str, label: str = "") -> None:
    eer, low, high = (100 * table[name].to_numpy(float) for name in ("eer", "eer_low", "eer_high"))
    bars = np.nan_to_num(np.maximum([eer - low, high - eer], 0))
    axes.errorbar(
        x, eer, bars, **look, marker=marker, markersize=6, linewidth=1.6, capsize=3, elinewidth=1, label=label
    )
