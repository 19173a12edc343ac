"""Model folder: everything that scoring needs, with checksums that are verified on reading.

It holds ``model.tflite``, ``model.keras``, ``dev.parquet`` with the trials that chose thresholds, and ``bundle.json``
with calibration, operating points, configuration and versions. ``model_writer`` writes it; evaluate, register, score
and serve only read it. Nothing in it is a pickle. Reading it imports no TensorFlow, and MLflow only for MLflow URIs.
"""

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.common import files
from pipeline.config import BONAFIDE, PROJECT_ROOT, Config, artifacts_dir
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import calibration
from pipeline.metrics.calibration import Calibration, OperatingPoint
from pipeline.metrics.fusion import Fusion
from pipeline.metrics.localisation import SegmentPoint
from pipeline.scoring import dev_table, familiarity, fetched_models, source_tracing

FORMAT = 4
READABLE = (1, 2, 3, 4)
"""Formats that can be read. Before 4 the LiteRT file has one output; before 3 the index has no checksum of its own, and
format 1 has no dev trials."""
SEALED = 3
INDEX = "bundle.json"
LITERT = "model.tflite"
KERAS = "model.keras"
CARD = "model_card.md"
PRETRAINED = PROJECT_ROOT / "artifacts" / "pretrained"
"""Folder of the models that come with the project."""
SHIPPED = "pretrained:/whisper"
"""The one that scores before there is a champion."""


@dataclass(frozen=True)
class ModelFolder:
    """Model folder after reading and verification.

    ``operating_point`` names the default among ``operating_points``. ``dev_trials`` is the checksum of the trials that
    chose thresholds and checkpoint, ``dev_eer`` the EER on them; models compare on dev only if it is equal. ``fusion``
    is how it was made of other models, if it was; ``parent`` the model that it was trained or calibrated from, or "".
    ``segments`` is the threshold for spoofed segments, if one was chosen.
    """

    folder: Path
    config: Config
    calibration: Calibration
    operating_points: dict[str, OperatingPoint]
    operating_point: str
    model_version: str
    run_id: str
    fingerprint: str
    versions: dict[str, str]
    dev_trials: str
    dev_eer: float
    sha256: dict[str, str]
    fusion: Fusion | None = None
    segments: SegmentPoint | None = None
    parent: str = ""
    trained_trials: str = ""

    @property
    def trained_on(self) -> str:
        """Dev trials of the Store that the network was trained on; calibration may have been on others."""
        return self.trained_trials or self.dev_trials

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return self.config.window.clip_samples

    @property
    def litert(self) -> Path:
        """The LiteRT file, which scores."""
        return self.folder / LITERT

    @property
    def keras(self) -> Path | None:
        """The Keras model, verified; ``None`` if there is none."""
        path = self.folder / KERAS
        if not path.is_file():
            return None
        check(path, self.sha256[KERAS])
        return path

    @cached_property
    def dev(self) -> "pd.DataFrame | None":  # noqa: F821
        """Dev trials, columns ``dev_table.COLUMNS``, one row per trial; ``None`` in a folder without them."""
        return dev_table.read(self.folder, self.sha256)

    @cached_property
    def dev_scores(self) -> "pd.DataFrame | None":  # noqa: F821
        """Dev trials with utterance, label, speaker and score at least; ``None`` in a folder of format 1."""
        return self.dev if self.dev is not None else dev_table.read_former(self.folder, self.sha256)

    @cached_property
    def usual(self) -> familiarity.Usual | None:
        """What familiarity is measured by; ``None`` for a model without."""
        return familiarity.Usual.load(self.folder / familiarity.FILE) if familiarity.FILE in self.sha256 else None

    @cached_property
    def attacks(self) -> source_tracing.KnownAttacks | None:
        """Attacks that the model tells apart; ``None`` for one that only detects spoof."""
        known = source_tracing.FILE in self.sha256
        return source_tracing.KnownAttacks.load(self.folder / source_tracing.FILE) if known else None

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "ModelFolder":
        """Read a model folder; raises ``ModelFolderError`` if it is missing, damaged or of another format."""
        folder = Path(folder)
        try:
            index = files.read_sealed(folder / INDEX)
        except FileNotFoundError:
            raise ModelFolderError(
                f"{folder}: no model folder ({INDEX} is missing); train one, or check --model"
            ) from None
        except (OSError, ValueError) as error:
            raise ModelFolderError(f"{folder / INDEX}: cannot be read: {error}") from None
        if index.get("format") not in READABLE:
            raise ModelFolderError(
                f"{folder}: format {index.get('format')!r} is none of {', '.join(map(str, READABLE))}; use the version "
                "of this project that wrote it, or train the model again"
            )
        if index["format"] >= SEALED and files.SEAL not in index:
            raise ModelFolderError(f"{folder / INDEX}: its checksum is missing, so it is damaged or was changed")
        for name, expected in index["sha256"].items():
            # The Keras model is large and does not score; the property ``keras`` verifies it.
            if name != KERAS:
                check(folder / name, expected)
        return cls(
            folder=folder,
            config=_config(folder, index["config"]),
            calibration=Calibration(**index["calibration"]),
            operating_points={name: OperatingPoint(**point) for name, point in index["operating_points"].items()},
            sha256=index["sha256"],
            fusion=Fusion(**index["fusion"]) if index.get("fusion") else None,
            segments=SegmentPoint(**index["segments"]) if index.get("segments") else None,
            **{name: index[name] for name in PLAIN} | {name: index.get(name, "") for name in EMPTY},
        )

    def point(self, name: str = "", threshold: float | None = None, familiarity: float | None = None) -> OperatingPoint:
        """An operating point by name, by default the model's; ``threshold`` and ``familiarity`` replace what it has.

        ``threshold`` holds for spoofed segments too.

        Points of a prior and costs need no dev trials; rates that are not stored are found on the dev scores. Unknown
        names and thresholds that are not finite raise ``ConfigError``.
        """
        if familiarity is not None:
            return dataclasses.replace(self.point(name, threshold), familiarity=familiarity)
        if threshold is not None:
            if not math.isfinite(threshold):
                raise ConfigError(f"threshold {threshold}: expected a finite number")
            return dataclasses.replace(self.point(name), threshold=threshold, segments=None)
        point = self._named(name or self.operating_point)
        return dataclasses.replace(point, segments=self.segments.threshold) if self.segments else point

    def _named(self, name: str) -> OperatingPoint:
        if name in self.operating_points:
            return self.operating_points[name]
        try:
            point = calibration.cost_point(name)
        except ConfigError:
            point = None
        else:
            point = point or self._dev_points.get(name) or self._found_on_dev(name)
        if point is None:
            raise ConfigError(
                f"operating point {name!r}: this model has {', '.join(self.operating_points)}; "
                f"{calibration.COST_FORM} is another"
            )
        return point

    @cached_property
    def _dev_points(self) -> dict[str, OperatingPoint]:
        return {}

    def _found_on_dev(self, name: str) -> OperatingPoint | None:
        if (dev := self.dev_scores) is None:
            return None
        labels = (dev["label"] == BONAFIDE).to_numpy()
        return self._dev_points.setdefault(name, calibration.operating_point(name, dev["score"].to_numpy(), labels))


PLAIN = ("operating_point", "model_version", "run_id", "fingerprint", "versions", "dev_trials", "dev_eer")
"""Fields that ``bundle.json`` holds unchanged."""
EMPTY = ("parent", "trained_trials")
"""Fields that may be empty, or missing."""


def champion_dir() -> Path:
    """Folder in which ``register`` leaves the champion, so that scoring needs no registry."""
    return artifacts_dir() / "models" / "champion"


def find(model: str = "", *, scores: bool = True) -> Path:
    """Local folder of a model: a folder, ``runs:/ID``, ``models:/NAME@ALIAS``, or one of the project (``SHIPPED``).

    Without a name: the champion that ``register`` left, or before the first one ``SHIPPED``. A model of the project is
    unpacked at its first use, unless it need not score. Raises ``ModelFolderError`` if such a model is missing.
    """
    if not model and champion_dir().is_dir():
        return champion_dir()
    scheme, _, name = (model or SHIPPED).partition(":/")
    if scheme == "pretrained":
        packed = PRETRAINED / name
        if not (packed / INDEX).is_file():
            raise ModelFolderError(
                f"no model: {packed} comes with the project and is missing; restore it, or name a model with "
                "--model FOLDER or --model models:/spoof-detector@champion"
            )
        return fetched_models.unpacked(packed, files.sha256(packed / INDEX)[:12]) if scores else packed
    return fetched_models.downloaded(model) if model.startswith(("runs:/", "models:/")) else Path(model)


def _config(folder: Path, values: dict) -> Config:
    try:
        return Config.saved(values)
    except ConfigError as error:
        unknown = str(error).split(";")[0]
        raise ModelFolderError(f"{folder}: made by another version of this project: {unknown}") from None


def check(path: Path, expected: str) -> None:
    """Raise ``ModelFolderError`` if a file is missing or has another checksum."""
    if not path.is_file():
        raise ModelFolderError(f"{path}: missing; copy the whole model folder, or train again")
    if files.sha256(path) != expected:
        raise ModelFolderError(f"{path}: its checksum is not the one in {INDEX}, so it is damaged or was changed")
