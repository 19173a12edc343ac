"""Summary of an evaluation: plain values, written to ``evaluation.json`` and read back.

Report, model card and printed tables render it; ``compare``, ``cross`` and ``main`` read it.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.metrics.assessment import Group
from pipeline.metrics.fusion import Fusion
from pipeline.metrics.paired_test import Difference

FILENAME = "evaluation.json"


@dataclass(frozen=True)
class ModelFacts:
    """Version of the model, its default operating point, and its calibration (score = slope · logit + intercept).

    ``bounds`` are the lower and the upper bound of a score; empty without bounds. ``fusion`` is how the model was made
    of others.
    """

    version: str
    run_id: str
    operating_point: str
    threshold: float
    prior_spoof: float
    miss: float | None
    false_alarm: float | None
    slope: float
    intercept: float
    bounds: tuple[float, ...] = ()
    fusion: Fusion | None = None


@dataclass(frozen=True)
class StoreFacts:
    """Store of the trials; ``of_training``: the model was trained on this Store.

    ``calibrated_on`` counts the trials of each subset that chose the model's calibration, but for dev in training.
    """

    name: str
    folder: str
    split_by: str
    of_training: bool
    calibrated_on: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SubsetData:
    """Size of a subset."""

    subset: str
    bonafide: int
    spoof: int
    speakers: int
    attacks: int
    hours: float


@dataclass(frozen=True)
class SubsetResult:
    """Metrics of a scored subset and its groups; see ``metrics.assessment.Evaluation``."""

    metrics: dict[str, float]
    uncalibrated: dict[str, float]
    note: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class PointRates:
    """Operating point with its (miss, false alarm) rates on dev and on each evaluated subset."""

    name: str
    threshold: float
    prior_spoof: float
    miss: float | None
    false_alarm: float | None
    rates: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class ShortcutFinding:
    """Area under the ROC of one kind of shortcut on one attack, or on all."""

    kind: str
    name: str
    auc: float
    low: float
    high: float
    spoof_trials: int


@dataclass(frozen=True)
class Clip:
    """Clip that the report shows; ``right``: the decision on it was right."""

    right: bool
    utterance_id: str
    label: str
    attack: str
    speaker: str
    score: float
    path: str


@dataclass(frozen=True)
class RobustnessPoint:
    """EER under one degradation."""

    condition: str
    value: str
    eer: float
    eer_low: float | None
    eer_high: float | None
    trials: int


@dataclass(frozen=True)
class RivalSummary:
    """Results of the rival on the same trials, and the differences by subset and group."""

    version: str
    operating_point: str
    results: dict[str, SubsetResult]
    differences: dict[str, dict[str, Difference]]


@dataclass(frozen=True)
class EvaluationSummary:
    """Everything an evaluation found; ``main`` names the subset of the headline figures.

    ``scores_of`` is the score file of another system if that was measured, instead of a model (``measure``).
    """

    model: ModelFacts
    store: StoreFacts
    main: str
    data: tuple[SubsetData, ...]
    results: dict[str, SubsetResult]
    operating_points: tuple[PointRates, ...]
    shortcuts: tuple[ShortcutFinding, ...]
    shortcut_warnings: tuple[str, ...]
    clips: tuple[Clip, ...]
    settings: dict[str, Any]
    environment: dict[str, str]
    commands: dict[str, str]
    rival: RivalSummary | None = None
    robustness: tuple[RobustnessPoint, ...] = field(default=())
    scores_of: str = ""

    @property
    def main_result(self) -> SubsetResult:
        """Result of the main subset."""
        return self.results[self.main]

    def groups(self, kind: str, subset: str = "") -> list[Group]:
        """Groups of one kind (pool, attack, condition, speaker) in a subset; by default in the main one."""
        return [group for group in self.results[subset or self.main].groups if group.kind == kind]

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json``."""
        (folder / FILENAME).write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "EvaluationSummary":
        """Read ``evaluation.json``; raises ``OSError`` if it is missing and ``ValueError`` if it is damaged."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(json.loads((Path(folder) / FILENAME).read_text(encoding="utf-8")))
