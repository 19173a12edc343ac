"""What the scores of a subset amount to: figures of merit over all its trials and by group, with intervals.

Pure functions of a table of scored trials; ``evaluate`` makes the table, the report and MLflow show the outcome.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline import metrics
from pipeline.config import BONAFIDE, SPOOF
from pipeline.metrics import MetricError, bootstrap

FEW_TRIALS = 20
"""Groups with fewer trials are marked: their EER moves by percents with every clip."""
MOST_VALUES = 50
"""Values of a condition (and speakers) up to which each has an interval and is logged to MLflow; all are in tables."""
UNKNOWN = "unknown"
NO_VALUES = ("", "-")
"""What a condition column holds where the condition does not apply or is not known."""


@dataclass(frozen=True)
class Group:
    """Some trials of a subset.

    ``kind`` is attack, pool (all attacks that training heard, ``seen``, or all that it did not), condition (``name`` is
    a value of the column ``condition``) or speaker. Attacks and pools are their spoof against all bonafide. A value of
    a condition, or a speaker, that both classes have is its spoof against its bonafide; one that a single class has is
    measured against all of the other, and ``against`` names that class. ``seen`` is ``None`` where it is not known,
    the interval where it is not defined; ``trials`` counts spoof, ``bonafide`` bonafide; ``note`` marks small groups.
    """

    kind: str
    name: str
    seen: bool | None
    trials: int
    speakers: int
    eer: float
    eer_low: float | None = None
    eer_high: float | None = None
    note: str = ""
    bonafide: int = 0
    condition: str = ""
    against: str = ""


@dataclass(frozen=True)
class Evaluation:
    """A scored subset.

    ``trials`` has the columns utterance_id, label, attack, speaker, logit and score (calibrated), and the conditions;
    ``metrics`` the names of DESIGN without the subset, ``uncalibrated`` those that calibration changes, of the raw
    logits; ``note`` says why some are missing.
    """

    subset: str
    trials: pd.DataFrame
    metrics: dict[str, float]
    groups: tuple[Group, ...]
    note: str = ""
    uncalibrated: dict[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        """True for bonafide, ``[trials]``."""
        return (self.trials["label"] == BONAFIDE).to_numpy()

    @property
    def scores(self) -> np.ndarray:
        """Calibrated scores ``[trials]``."""
        return self.trials["score"].to_numpy()

    def mlflow_metrics(self) -> dict[str, float]:
        """All figures by their MLflow names: ``eval/eer``, ``eval/attack/A07/eer``, ``eval/unseen/eer_low`` …

        Conditions of more than ``MOST_VALUES`` values are left to the tables.
        """
        values = {f"{self.subset}/{name}": value for name, value in self.metrics.items()}
        values |= {f"{self.subset}/uncalibrated/{name}": value for name, value in self.uncalibrated.items()}
        sizes = Counter((group.kind, group.condition) for group in self.groups)
        for group in self.groups:
            if group.kind in ("condition", "speaker") and sizes[group.kind, group.condition] > MOST_VALUES:
                continue
            above = {"pool": "", "condition": f"{metric_key(group.condition)}/"}.get(group.kind, f"{group.kind}/")
            stem = above + metric_key(group.name)
            while f"{self.subset}/{stem}/eer" in values:
                stem += "_"
            for name in ("eer", "eer_low", "eer_high"):
                if (value := getattr(group, name)) is not None:
                    values[f"{self.subset}/{stem}/{name}"] = value
        return values


def assess(
    trials: pd.DataFrame, *, subset: str, threshold: float, heard: set[str] | None, conditions: Sequence[str] = ()
) -> Evaluation:
    """Measure scored trials.

    Parameters
    ----------
    trials : columns utterance_id, label, attack, speaker, score, and the conditions; figures of the raw logits need
        the column logit.
    threshold : of the operating point, on calibrated scores.
    heard : attacks of the training subset; ``None`` where they are not known.
    conditions : columns whose values are groups.
    """
    if trials.empty:
        return Evaluation(subset, trials, {}, (), "no clips")
    labels = (trials["label"] == BONAFIDE).to_numpy()
    scores = trials["score"].to_numpy()
    logits = trials["logit"].to_numpy() if "logit" in trials else None
    try:
        values = metrics.summary(scores, labels, threshold=threshold, logits=logits)
    except MetricError:
        if labels.any() and not labels.all():
            raise
        values = {} if logits is None else {"loss": metrics.cross_entropy(logits, labels)}
        values["accuracy"] = float(np.mean((scores >= threshold) == labels))
        return Evaluation(subset, trials, values, (), f"one class only: {trials['label'].iloc[0]}")
    try:
        found = bootstrap.intervals(
            scores, labels, voices(trials), names=tuple(values), threshold=threshold, logits=logits
        )
    except MetricError:
        found = {}
    values |= {f"{name}_{end}": v for name, pair in found.items() for end, v in zip(("low", "high"), pair, strict=True)}
    groups = (*_attacks(trials, labels, heard), *_conditions(trials, labels, conditions))
    raw = {} if logits is None else {"act_dcf": metrics.act_dcf(logits, labels), "cllr": metrics.cllr(logits, labels)}
    return Evaluation(subset, trials, values, groups, uncalibrated=raw)


def voices(trials: pd.DataFrame) -> np.ndarray:
    """What the bootstrap draws, a name a trial: its speaker, or itself where that is not known."""
    # The prefixes keep a speaker's name from being taken for an utterance's.
    named = np.where(trials["speaker"] != "", "s " + trials["speaker"], "u " + trials["utterance_id"])
    return named.astype(str)


def _attacks(trials: pd.DataFrame, labels: np.ndarray, heard: set[str] | None) -> list[Group]:
    attacks = trials["attack"].where(trials["attack"] != "", UNKNOWN)
    seen = {name: None if heard is None or name == UNKNOWN else name in heard for name in attacks[~labels].unique()}
    found = [
        _group(trials, labels, labels | (attacks == name).to_numpy(), "attack", name, seen=seen[name])
        for name in sorted(seen)
    ]
    for name, wanted in (("seen", True), ("unseen", False)):
        chosen = attacks.map(seen).eq(wanted).fillna(False).to_numpy(bool) & ~labels
        if chosen.any():
            found.append(_group(trials, labels, labels | chosen, "pool", name, seen=wanted))
    return found


def _conditions(trials: pd.DataFrame, labels: np.ndarray, conditions: Sequence[str]) -> Iterator[Group]:
    """A group for each value of each condition that has several, then one for each speaker."""
    for column in (*conditions, "speaker"):
        values = sorted(set(trials[column]) - set(NO_VALUES))
        if len(values) < 2:
            continue
        kind, condition = ("speaker", "") if column == "speaker" else ("condition", column)
        for value in values:
            own = (trials[column] == value).to_numpy()
            against = "" if (own & labels).any() and (own & ~labels).any() else SPOOF
            if against and not (own & labels).any():
                against = BONAFIDE
            others = {"": np.zeros(len(labels), bool), BONAFIDE: labels, SPOOF: ~labels}[against]
            few = min(count for count in ((own & labels).sum(), (own & ~labels).sum()) if count) < FEW_TRIALS
            yield _group(
                trials,
                labels,
                own | others,
                kind,
                value,
                condition=condition,
                against=against,
                few=few,
                wide=len(values) <= MOST_VALUES,
            )


def _group(
    trials: pd.DataFrame,
    labels: np.ndarray,
    chosen: np.ndarray,
    kind: str,
    name: str,
    *,
    seen: bool | None = None,
    condition: str = "",
    against: str = "",
    few: bool | None = None,
    wide: bool = True,
) -> Group:
    """The group of the chosen trials, with an interval if ``wide``; ``few`` by default says whether spoof is few."""
    kept, kept_labels = trials[chosen], labels[chosen]
    scores, spoof = kept["score"].to_numpy(), kept[~kept_labels]
    try:
        # One speaker against himself can only be drawn clip by clip.
        names = kept["utterance_id"].to_numpy(str) if kind == "speaker" else voices(kept)
        low, high = bootstrap.eer_interval(scores, kept_labels, names) if wide else (None, None)
    except MetricError:
        low, high = None, None
    few = len(spoof) < FEW_TRIALS if few is None else few
    return Group(
        kind,
        name,
        seen,
        trials=len(spoof),
        speakers=spoof.loc[spoof["speaker"] != "", "speaker"].nunique(),
        eer=metrics.eer(scores, kept_labels),
        eer_low=low,
        eer_high=high,
        note="few trials" if few else "",
        bonafide=int(kept_labels.sum()),
        condition=condition,
        against=against,
    )


def metric_key(name: str) -> str:
    """A name in the characters that MLflow allows in a metric, the slash left out as it separates levels."""
    return re.sub(r"[^\w\-. ]|^\.+$", "_", name, flags=re.ASCII)
