"""What the scores of a subset amount to: figures of merit over all its trials and by group, with intervals.

Pure functions of a table of scored trials; ``evaluate`` makes the table, the report and MLflow show the outcome.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import bootstrap, metrics
from pipeline.config import BONAFIDE
from pipeline.metrics import MetricError

FEW_TRIALS = 20
"""Groups with fewer spoof trials are marked: their EER moves by percents with every clip."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Group:
    """Some spoof trials of a subset against all its bonafide ones.

    ``kind`` is attack, or pool: all attacks that training heard (``seen``), or all that it did not. ``seen`` is
    ``None`` where that is not known, the interval where it is not defined; ``note`` marks small groups.
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


@dataclass(frozen=True)
class Evaluation:
    """A scored subset.

    ``trials`` has the columns utterance_id, label, attack, speaker, logit and score (calibrated); ``metrics`` the
    names of DESIGN without the subset; ``note`` says why some are missing.
    """

    subset: str
    trials: pd.DataFrame
    metrics: dict[str, float]
    groups: tuple[Group, ...]
    note: str = ""

    @property
    def labels(self) -> np.ndarray:
        """True for bonafide, ``[trials]``."""
        return (self.trials["label"] == BONAFIDE).to_numpy()

    @property
    def scores(self) -> np.ndarray:
        """Calibrated scores ``[trials]``."""
        return self.trials["score"].to_numpy()

    def named(self) -> dict[str, float]:
        """All figures by their MLflow names: ``eval/eer``, ``eval/attack/A07/eer``, ``eval/unseen/eer_low`` …"""
        values = {f"{self.subset}/{name}": value for name, value in self.metrics.items()}
        for group in self.groups:
            stem = f"attack/{_key(group.name)}" if group.kind == "attack" else group.name
            while f"{self.subset}/{stem}/eer" in values:
                stem += "_"
            for name in ("eer", "eer_low", "eer_high"):
                if (value := getattr(group, name)) is not None:
                    values[f"{self.subset}/{stem}/{name}"] = value
        return values


def assess(trials: pd.DataFrame, *, subset: str, threshold: float, heard: set[str] | None) -> Evaluation:
    """Measure scored trials.

    Parameters
    ----------
    trials : columns utterance_id, label, attack, speaker, logit, score.
    threshold : of the operating point, on calibrated scores.
    heard : attacks of the training subset; ``None`` where they are not known.
    """
    if trials.empty:
        return Evaluation(subset, trials, {}, (), "no clips")
    labels = (trials["label"] == BONAFIDE).to_numpy()
    logits, scores = trials["logit"].to_numpy(), trials["score"].to_numpy()
    try:
        values = metrics.summary(scores, labels, threshold=threshold, logits=logits)
    except MetricError:
        if labels.any() and not labels.all():
            raise
        values = {
            "loss": metrics.cross_entropy(logits, labels),
            "accuracy": float(np.mean((scores >= threshold) == labels)),
        }
        return Evaluation(subset, trials, values, (), f"one class only: {trials['label'].iloc[0]}")
    interval = _interval(trials, labels)
    if interval:
        values |= {"eer_low": interval[0], "eer_high": interval[1]}
    return Evaluation(subset, trials, values, tuple(_groups(trials, labels, heard)))


def _groups(trials: pd.DataFrame, labels: np.ndarray, heard: set[str] | None) -> list[Group]:
    attacks = trials["attack"].where(trials["attack"] != "", UNKNOWN)
    seen = {name: None if heard is None or name == UNKNOWN else name in heard for name in attacks[~labels].unique()}
    found = [_group(trials, labels, (attacks == name).to_numpy(), "attack", name, seen[name]) for name in sorted(seen)]
    for name, wanted in (("seen", True), ("unseen", False)):
        chosen = attacks.map(seen).eq(wanted).fillna(False).to_numpy(bool) & ~labels
        if chosen.any():
            found.append(_group(trials, labels, chosen, "pool", name, wanted))
    return found


def _group(
    trials: pd.DataFrame, labels: np.ndarray, chosen: np.ndarray, kind: str, name: str, seen: bool | None
) -> Group:
    spoof = trials[chosen & ~labels]
    kept = trials[labels | chosen]
    kept_labels = (kept["label"] == BONAFIDE).to_numpy()
    low, high = _interval(kept, kept_labels) or (None, None)
    return Group(
        kind,
        name,
        seen,
        trials=len(spoof),
        speakers=spoof.loc[spoof["speaker"] != "", "speaker"].nunique(),
        eer=metrics.eer(kept["score"].to_numpy(), kept_labels),
        eer_low=low,
        eer_high=high,
        note="few trials" if len(spoof) < FEW_TRIALS else "",
    )


def _interval(trials: pd.DataFrame, labels: np.ndarray) -> tuple[float, float] | None:
    """Interval of the EER over speakers; a clip of unknown speaker stands for itself. ``None`` where undefined."""
    # The prefixes keep a speaker's name from being taken for an utterance's.
    speakers = np.where(trials["speaker"] != "", "s " + trials["speaker"], "u " + trials["utterance_id"])
    try:
        return bootstrap.eer_interval(trials["score"].to_numpy(), labels, speakers.astype(str))
    except MetricError:
        return None


def _key(name: str) -> str:
    """A name in the characters that MLflow allows in a metric, the slash left out as it separates levels."""
    return re.sub(r"[^\w\-. ]|^\.+$", "_", name, flags=re.ASCII)
