"""Metrics of a scored subset, over all trials and by group, with intervals.

Pure functions of a table of scored trials. ``evaluation.subsets`` makes the table; report and MLflow show the result.
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
"""Groups with fewer trials get a note: one clip moves their EER by percents."""
MOST_VALUES = 50
"""Conditions with more values (or speakers) than this have no intervals, and only tables hold them, not MLflow."""
UNKNOWN = "unknown"
NO_VALUES = ("", "-")
"""Values of a condition that does not apply or is not known."""


@dataclass(frozen=True)
class Group:
    """EER of some trials of a subset.

    ``kind`` is attack, pool (all attacks ``seen`` in training, or all others), condition (``name`` is a value of the
    column ``condition``) or speaker. An attack or a pool is measured against all bonafide trials. A condition or a
    speaker is measured within itself if it has both classes; otherwise against all trials of the class it lacks, which
    ``against`` names. ``seen`` is ``None`` if training is unknown, the interval ``None`` if it is not defined.
    ``trials`` counts spoof, ``bonafide`` bonafide. ``attack_name`` is the readable name of an attack; ``note`` marks
    small groups.
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
    attack_name: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Scored trials of a subset with their metrics.

    ``trials`` has the columns utterance_id, label, attack, speaker, logit and score (calibrated), and the conditions.
    ``metrics`` maps names without the subset to values; ``uncalibrated`` holds those that calibration changes, computed
    on raw logits. ``note`` is the reason why metrics are missing.
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
        """Metrics by MLflow name: ``eval/eer``, ``eval/attack/A07/eer``, ``eval/unseen/eer_low`` …

        Conditions with more than ``MOST_VALUES`` values are left out.
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
    trials: pd.DataFrame,
    *,
    subset: str,
    threshold: float,
    trained_attacks: set[str] | None,
    conditions: Sequence[str] = (),
) -> Evaluation:
    """Measure scored trials.

    Parameters
    ----------
    trials : columns utterance_id, label, attack, speaker, score and the conditions; optionally attack_name, and logit,
        from which the metrics of raw logits are computed.
    threshold : operating point on calibrated scores.
    trained_attacks : attacks of the training subset; ``None`` if unknown.
    conditions : columns whose values become groups.
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
    groups = (*_attacks(trials, labels, trained_attacks), *_conditions(trials, labels, conditions))
    raw = {} if logits is None else {"act_dcf": metrics.act_dcf(logits, labels), "cllr": metrics.cllr(logits, labels)}
    return Evaluation(subset, trials, values, groups, uncalibrated=raw)


def voices(trials: pd.DataFrame) -> np.ndarray:
    """Unit that the bootstrap draws, one name per trial: the speaker, or the utterance if the speaker is unknown."""
    # The prefixes keep names of speakers and of utterances apart.
    named = np.where(trials["speaker"] != "", "s " + trials["speaker"], "u " + trials["utterance_id"])
    return named.astype(str)


def _attacks(trials: pd.DataFrame, labels: np.ndarray, trained_attacks: set[str] | None) -> list[Group]:
    attacks = trials["attack"].where(trials["attack"] != "", UNKNOWN)
    known = trained_attacks is not None
    seen = {name: name in trained_attacks if known and name != UNKNOWN else None for name in attacks[~labels].unique()}
    found = []
    for name in sorted(seen):
        own = (attacks == name).to_numpy()
        attack_name = trials.loc[own, "attack_name"].iat[0] if "attack_name" in trials else ""
        found.append(_group(trials, labels, labels | own, "attack", name, seen=seen[name], attack_name=attack_name))
    for name, wanted in (("seen", True), ("unseen", False)):
        chosen = attacks.map(seen).eq(wanted).fillna(False).to_numpy(bool) & ~labels
        if chosen.any():
            found.append(_group(trials, labels, labels | chosen, "pool", name, seen=wanted))
    return found


def _conditions(trials: pd.DataFrame, labels: np.ndarray, conditions: Sequence[str]) -> Iterator[Group]:
    """Groups of each condition with several values, then one per speaker."""
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
                with_interval=len(values) <= MOST_VALUES,
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
    attack_name: str = "",
    few: bool | None = None,
    with_interval: bool = True,
) -> Group:
    """Group of the chosen trials; ``few``, by default whether spoof trials are few, sets the note."""
    kept, kept_labels = trials[chosen], labels[chosen]
    scores, spoof = kept["score"].to_numpy(), kept[~kept_labels]
    try:
        # A single speaker can only be resampled by clip.
        names = kept["utterance_id"].to_numpy(str) if kind == "speaker" else voices(kept)
        low, high = bootstrap.eer_interval(scores, kept_labels, names) if with_interval else (None, None)
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
        attack_name=attack_name,
    )


def metric_key(name: str) -> str:
    """Name in the characters that MLflow allows in a metric, without the slash, which separates levels."""
    return re.sub(r"[^\w\-. ]|^\.+$", "_", name, flags=re.ASCII)
