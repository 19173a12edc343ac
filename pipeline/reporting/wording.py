"""Words and cells that the report, the model card and the printed tables share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config import ON_WAVEFORMS
from pipeline.metrics.assessment import Group
from pipeline.metrics.fusion import Fusion
from pipeline.metrics.paired_test import Difference
from pipeline.reporting.evaluation_summary import (
    EvaluationSummary,
    ModelFacts,
    RobustnessPoint,
    ShortcutFinding,
    SubsetResult,
)
from pipeline.store import splits

METRICS = {
    "eer": ("EER", "equal error rate: misses and false alarms are equally frequent; lower is better"),
    "auc": ("ROC AUC", "chance that a bonafide clip scores above a spoofed one; 1 is perfect, 0.5 chance"),
    "min_dcf": (
        "minDCF",
        "least detection cost (spoof 5 %, a false alarm costs 10 misses); 1 is no better than a guess",
    ),
    "act_dcf": ("actDCF", "the same cost at the threshold that calibrated scores should have"),
    "cllr": ("Cllr", "cost of the scores as log-likelihood ratios, in bits; 0 is perfect, 1 is no better than a guess"),
    "accuracy": ("accuracy", "share of right decisions at the threshold"),
    "precision": ("precision", "share of bonafide among clips called bonafide"),
    "recall": ("recall", "share of bonafide clips called bonafide"),
    "f1": ("F1", "harmonic mean of precision and recall"),
    "min_tdcf_2019": ("min t-DCF (2019)", "least tandem cost that the detector adds to a verifier; 1 is no detector"),
    "min_tdcf_2021": ("min t-DCF (2021)", "least cost of detector and verifier in tandem; 1 is no detector"),
    "t_eer": ("t-EER", "tandem of both: misses, nontargets and spoofs accepted are equally frequent"),
    "a_dcf": ("a-DCF", "least cost of one score for speaker and spoof; 1 is no better than a guess"),
    "loss": ("loss", "binary cross-entropy of the raw output, in nats"),
    "range_eer": (
        "range EER",
        "share of spoofed time called bonafide where that of bonafide time called spoof is equal",
    ),
    "segment_eer_0.32": ("EER at 0.32 s", "equal error rate of pieces of 0.32 s, spoofed if any part of one is"),
    "segment_eer_0.64": ("EER at 0.64 s", "the same of pieces of 0.64 s"),
    "located_recall": ("located", "share of the spoofed segments found with both ends right within a second"),
    "false_segments_per_hour": (
        "false segments/h",
        "segments found that are none, or with an end off by over a second",
    ),
    "attack_f1": (
        "attack F1",
        "mean F1 of the attacks, one new to the model counting as unknown; 1 is every spoof attributed right",
    ),
}
"""Label and meaning of each figure of merit, in the order of the tables."""
MISSING = "–"
INTERVALS = (
    "Intervals, in parentheses, are 95 % bootstrap intervals over speakers (over clips if speakers are unknown)."
)


def lead(summary: EvaluationSummary) -> str:
    """Model, Store and subsets in one sentence."""
    if summary.scores_of:
        return f"Scores in {summary.scores_of}, measured against {summary.store.name}."
    settings, evaluated = summary.settings, f"evaluated on {' and '.join(summary.results)} of {summary.store.name}."
    if summary.model.fusion:
        return f"{fusion(summary.model.fusion)}, on windows of {settings['clip_s']:g} s, {evaluated}"
    on = "windows" if settings["backbone"] in ON_WAVEFORMS else f"{settings['front_end']} spectrograms"
    return f"Preset {settings['preset']}: {settings['backbone']} on {on} of {settings['clip_s']:g} s, {evaluated}"


def fusion(made: Fusion) -> str:
    """Members of a fusion and their weights, as the subject of a sentence."""
    if made.by == "weights":
        return f"Mean of the weights of {', '.join(made.members)}"
    how = "fitted on dev" if made.by == "logistic" else "equal"
    listed = ", ".join(f"{weight:.2f} · {version}" for version, weight in made.members.items())
    return f"Weighted sum of calibrated scores, weights {how}: {listed}"


def trained_on(summary: EvaluationSummary) -> str:
    """Corpus of the model and its parent, and whether the figures are of the same Store."""
    store, start = summary.store, summary.settings.get("init")
    parent = (
        f" It started from the weights of {start}; attacks that its parent learned count as unseen." if start else ""
    )
    if not store.of_training:
        return (
            f"The model was trained on the corpus {summary.settings['corpus']}.{parent} The figures here are of "
            f"another Store, {store.folder} (split: {store.split_by}):"
        )
    return f"Corpus {store.name}, split: {store.split_by} (Store {store.folder}).{parent}"


def warnings(summary: EvaluationSummary) -> list[str]:
    """Reasons to doubt the figures."""
    store, found = summary.store, []
    if splits.leaks(store.split_by):
        found.append(
            f"The split ({store.split_by}) draws subsets from train clip by clip, so they share its speakers: their "
            "figures leak."
        )
    if store.name == "synthetic":
        found.append("The corpus is synthetic sound for tests: these figures say nothing about real speech.")
    found += [
        f"{count} trials of {subset} chose the model's calibration and thresholds: Cllr and the rates of errors are "
        "better than on other recordings. The EER does not depend on them."
        for subset, count in store.calibrated_on.items()
    ]
    found += [f"{subset}: {result.note}." for subset, result in summary.results.items() if result.note]
    return [*found, *summary.shortcut_warnings]


def threshold(model: ModelFacts) -> str:
    """Operating point of the decisions, with its error rates on dev if they were measured."""
    if not model.operating_point:
        return f"Decisions at a score of {signed(model.threshold)}, as given."
    point = f"Decisions at the operating point {model.operating_point}: score {signed(model.threshold)}"
    measured = ((model.miss, "misses"), (model.false_alarm, "false alarms"))
    rates = [f"{100 * rate:.1f} % {name}" for rate, name in measured if rate is not None]
    if not rates:
        return f"{point}, which follows from its prior and costs."
    return f"{point}, chosen on dev, where it has {' and '.join(rates)}."


def calibration(model: ModelFacts) -> str:
    """Formula and meaning of a score."""
    bounds = f" and bounded to {' to '.join(map(signed, model.bounds))}" if model.bounds else ""
    return (
        f"Score = {model.slope:.3f} · logit {'+' if model.intercept >= 0 else '−'} {abs(model.intercept):.3f}, a "
        f"logistic regression fitted on dev{bounds}. A score is the natural logarithm of how much likelier a recording "
        "is under bonafide than under spoof."
    )


def rival_text(summary: EvaluationSummary) -> str:
    """Comparison with the rival on the main subset; empty without one."""
    rival = summary.rival
    found = rival and rival.differences.get(summary.main, {}).get("all attacks")
    if not found:
        return ""
    interval = "not defined" if found.low is None else f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    change = "gains" if found.difference >= 0 else "loses"
    return (
        f"Against {rival.version}, whose EER on {summary.main} is {100 * found.rival_eer:.2f} %, it "
        f"{change} {100 * abs(found.difference):.1f} percentage points (95 % interval of the gain "
        f"{interval.replace('-', '−')}). At the operating points of both, only this model is right on "
        f"{found.own_right:,} trials and only the rival on {found.rival_right:,} (McNemar's exact p "
        f"{probability(found.p)})."
    )


def robustness_text(summary: EvaluationSummary) -> str:
    """The clean EER and the worst of each condition in one sentence; empty if it was not measured."""
    if not summary.robustness:
        return ""
    clean, *degraded = summary.robustness
    worst = {}
    for point in degraded:
        if point.condition not in worst or point.eer > worst[point.condition].eer:
            worst[point.condition] = point
    listed = ", ".join(f"{name} {point.value} {100 * point.eer:.1f} %" for name, point in worst.items())
    return f"Robustness on {summary.main}, EER: clean {100 * clean.eer:.1f} %; at worst {listed}."


def gain(found: Difference) -> str:
    """Difference of the EERs with its interval, in percentage points."""
    interval = "" if found.low is None else f" ({100 * found.low:.1f} to {100 * found.high:.1f})"
    return f"{100 * found.difference:.1f}{interval}".replace("-", "−")


def probability(p: float) -> str:
    """A p-value as it is printed."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def signed(score: float) -> str:
    """Two decimals and a sign, none for zero."""
    return f"{score:+.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00").replace("-", "−")


def metric_rows(results: Mapping[str, SubsetResult]) -> list[tuple[str, str, list[str]]]:
    """Name, meaning and value in each subset of every metric that some subset has."""
    rows = []
    for key, (name, about) in METRICS.items():
        values = [value(key, result.metrics) for result in results.values()]
        if any(v != MISSING for v in values):
            rows.append((name, about, values))
    return rows


def uncalibrated_rows(results: Mapping[str, SubsetResult]) -> list[tuple[str, str, str]]:
    """Name, value before and value after calibration of the metrics that calibration changes, the last subset first."""
    return [
        (f"{METRICS[key][0]}, {subset}", f"{result.uncalibrated[key]:.4f}", value(key, result.metrics))
        for subset, result in reversed(results.items())
        for key in ("cllr", "act_dcf")
        if key in result.uncalibrated
    ]


def value(key: str, values: Mapping[str, float]) -> str:
    """A metric with its interval."""
    if key not in values:
        return MISSING
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    if key in ("eer", "t_eer"):
        return _rate(values[key], low, high)
    return f"{values[key]:.4f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})")


def eer(found: Group | RobustnessPoint) -> str:
    """An EER with its interval, in %."""
    return _rate(found.eer, found.eer_low, found.eer_high)


def _rate(rate: float, low: float | None, high: float | None) -> str:
    return f"{100 * rate:.2f} %" + ("" if low is None else f" ({100 * low:.1f}–{100 * high:.1f})")


def area(found: ShortcutFinding) -> str:
    """An area under the ROC with its interval."""
    return f"{found.auc:.2f} ({found.low:.2f}–{found.high:.2f})"


def percent(share: float | None) -> str:
    """A share in %."""
    return MISSING if share is None else f"{100 * share:.1f} %"


def errors(rates: Sequence[float | None] | None) -> str:
    """Misses and false alarms in %."""
    return MISSING if rates is None or None in rates else " / ".join(percent(rate) for rate in rates)


def ordered(groups: Sequence[Group]) -> list[Group]:
    """Pools first, then attacks from the hardest to the easiest; no other groups."""
    kept = [g for g in groups if g.kind in ("pool", "attack")]
    return sorted(kept, key=lambda g: (g.kind != "pool", g.name if g.kind == "pool" else "", -g.eer))


def title(group: Group) -> str:
    """Name of a group; an attack's code is followed by its readable name if that is known."""
    return f"{group.name} ({group.attack_name})" if group.attack_name else group.name


def about(group: Group) -> str:
    """Class that a condition is measured against, and the group's note."""
    return ", ".join(filter(None, [group.against and f"against all {group.against}", group.note]))


def seen(group: Group) -> str:
    """Whether an attack was in training."""
    return {True: "yes", False: "no", None: MISSING}[group.seen]


def link(path: str) -> str:
    """Address of a recording."""
    return Path(path).as_uri() if Path(path).is_absolute() else path
