"""Refit calibration and threshold of a finished model on one's own labelled recordings, without any training.

The new model folder has the network of its parent, which it names. EER, Cllr and the error rates at the operating point
are measured before and after, the latter on held-out speakers by cross-validation. Recordings of one class alone set
the threshold only. ``--segments`` also chooses the threshold for spoofed segments (``evaluation.segment_threshold``).
"""

import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, metrics, preprocess, tracking
from pipeline.common import provenance
from pipeline.common.progress import track
from pipeline.config import BONAFIDE, MODEL_HELP, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ConfigError
from pipeline.evaluation import calls, segment_threshold
from pipeline.metrics import calibration, recalibration
from pipeline.metrics.assessment import voices
from pipeline.metrics.recalibration import Estimate
from pipeline.scoring import dev_table, model_folders, model_writer
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row
from pipeline.scoring.row_file import RowFile
from pipeline.store import manifest
from pipeline.store.store import Store
from pipeline.training import bundle

STAGE_VERSION = 1
"""Raise it when a change of this stage changes the result of the same recordings."""
ROWS = {
    "eer": "EER",
    "cllr": "Cllr (bits)",
    "miss": "bonafide called spoof",
    "false_alarm": "spoof called bonafide",
}
"""Figures and their names in the table."""


@dataclass(frozen=True)
class CalibrateOptions:
    """Model and recordings."""

    model: str = option("", MODEL_HELP)
    store: str = option("", "folder of a Store; empty: that of the corpus named here")
    subset: str = option(",".join(manifest.SUBSETS), "subsets to calibrate on, comma separated")
    operating_point: str = option(
        "", "default threshold of the new model: eer, min_dcf, fpr=RATE, fnr=RATE …; empty: that of the model"
    )
    segments: float = option(
        0.0,
        "false spoofed segments per hour to allow on calls spliced from these recordings, which choose the threshold "
        "for segments; 0: that of the model stays",
        least=0,
    )
    register: bool = option(False, "also register the new model, as a version that names its parent")


def calibrate(
    model: ModelFolder, store: Store, subsets: Sequence[str], operating_point: str = "", segments: float = 0.0
) -> Path:
    """Return the model folder that is calibrated on subsets of a Store; make it if it does not exist yet.

    ``segments`` is the option of that name. Raises ``ConfigError`` for too few recordings, recordings that the model
    was trained on, and an operating point or a threshold for segments that the recordings cannot set.
    """
    name = operating_point or model.operating_point
    rows = np.sort(np.concatenate([store.subset(subset) for subset in subsets]))
    labels = (store.manifest["label"].iloc[rows] == BONAFIDE).to_numpy()
    if lack := calibration.shortage(name, int(labels.sum()), int((~labels).sum())):
        raise ConfigError(lack)
    if "train" in subsets and model.trained_on == store.trials("dev"):
        raise ConfigError(
            f"{store.folder}: {model.model_version} was trained on its train subset, whose scores are too good to "
            "calibrate on; give other recordings, or --subset dev"
        )
    if segments:
        calls.material(store, rows)
    table = store.manifest.iloc[rows]
    fold = recalibration.folds(labels, voices(table))
    if (table["speaker"] == "").any():
        print(
            "note: some speakers are unknown; their clips count as speakers in folds and intervals, so the figures are "
            "too good if a speaker has several clips (a table can name speakers: --corpus table)",
            file=sys.stderr,
        )
    scored = fingerprint(model.sha256[model_folders.LITERT], model.config.window, store.fingerprint, rows.tolist())
    known = [dataclasses.asdict(values) for values in (model.calibration, model.point(_known(model, name)))]
    key = fingerprint(STAGE_VERSION, scored, model.model_version, known, name, *([segments] if segments else []))
    version = f"calibrated-{key}"
    folder = artifacts_dir() / "models" / version
    if folder.exists() and bundle.logged(made := ModelFolder.load(folder)):
        with tracking.run(version, stage="calibrate", run_id=made.run_id):
            print(f"already calibrated: {folder}")
        return folder
    tags = {"model_version": version, "parent": model.model_version, **tracking.tags(model.config, store)}
    with tracking.run(f"calibrate {model.model_version} · {store.name}", stage="calibrate", tags=tags) as run:
        logits = _logits(model, store, rows, artifacts_dir() / "calibrations" / f"{scored}.parquet")
        tracking.log_inputs(store, subsets)
        written = _write(model, store, rows, logits, fold, name, segments, folder, run.info.run_id)
        bundle.log(written)
    return folder


def _logits(model: ModelFolder, store: Store, rows: np.ndarray, path: Path) -> np.ndarray:
    """Logit of each Store row ``[rows]``, kept in a file of rows, which resumes; their score is the logit."""
    names = store.manifest["utterance_id"].iloc[rows].to_numpy()
    if not path.is_file():
        with RowFile(path, {"logits": path.stem}, names) as file:
            missing = [row for row, name in zip(rows, names, strict=True) if name not in file]
            logits = Detector(model).utterance_logits(map(store.waveform, missing), map(store.speech, missing))
            done = track(logits, total=len(rows), what="score", unit="clip", done=len(rows) - len(missing))
            for row, logit in zip(missing, done, strict=True):
                file.add(Row(store.manifest["utterance_id"].iat[row], score=logit))
            file.finish()
    return pd.read_parquet(path).set_index("source")["score"].loc[names].to_numpy()


def _known(model: ModelFolder, name: str) -> str:
    """The operating point to compare with: that of the name if the model has it, else its default."""
    try:
        model.point(name)
    except ConfigError:
        return model.operating_point
    return name


def _write(
    model: ModelFolder,
    store: Store,
    rows: np.ndarray,
    logits: np.ndarray,
    fold: np.ndarray,
    name: str,
    segments: float,
    folder: Path,
    run_id: str,
) -> ModelFolder:
    """Measure before and after, write the model folder and log figures to the active run."""
    import mlflow

    table = store.manifest.iloc[rows]
    labels, units = (table["label"] == BONAFIDE).to_numpy(), voices(table)
    fitted, point = recalibration.refit(logits, labels, name, model.calibration)
    former = _known(model, name)
    before = recalibration.figures(model.calibration.apply(logits), labels, model.point(former).threshold, units)
    held_out, thresholds = recalibration.held_out(logits, labels, fold, name, model.calibration)
    after = recalibration.figures(held_out, labels, thresholds, units)
    about = (
        f"Calibrated on {store.name}: {labels.sum()} bonafide and {(~labels).sum()} spoof clips, {len(set(units))} "
        f"{'speakers' if (table['speaker'] != '').all() else 'clips or speakers'}. Its network is that of "
        f"{model.model_version}. 95 % intervals; after: on held-out speakers, {fold.max() + 1} folds."
    )
    columns = {f"before, at {former}": model.point(former).threshold, f"after, at {name}": point.threshold}
    found = _table((before, after), columns)
    scores = fitted.apply(logits)
    trials, changed = None, {"operating_points": model.operating_points | {name: point}}
    if fitted is not model.calibration:
        trials = dev_table.of(store, rows, logits, scores)
        counts = int(labels.sum()), int((~labels).sum())
        names = [known for known in calibration.NAMED if not calibration.shortage(known, *counts)]
        changed = {
            "calibration": fitted,
            "operating_points": calibration.operating_points(scores, labels, (*names, name)),
            "dev_trials": fingerprint("calibrate", store.fingerprint, rows.tolist()),
            "trained_trials": model.trained_on,
            "dev_eer": metrics.eer(scores, labels),
        }
    if segments:
        scored = segment_threshold.score_calls(Detector(dataclasses.replace(model, calibration=fitted)), store, rows)
        changed["segments"] = chosen = segment_threshold.choose(scored, segments)
        mlflow.log_metrics({f"segments/{figure}": value for figure, value in dataclasses.asdict(chosen).items()})
        about += (
            f" Spoofed segments are sought below {chosen.threshold:+.2f}: on {len(scored)} calls spliced from these "
            f"recordings, recall is {chosen.recall:.2f} and {chosen.false_per_hour:.1f} are false per hour."
        )
    card = model.folder / model_folders.CARD
    above = card.read_text(encoding="utf-8") if card.is_file() else ""
    text = f"# {folder.name}\n\n{about}\n\n{found}\n" + (f"\nCard of its parent:\n\n{above}" if above else "")
    with tempfile.TemporaryDirectory() as work:
        added = {model_folders.CARD: Path(work) / model_folders.CARD}
        added[model_folders.CARD].write_text(text, encoding="utf-8")
        if trials is not None:
            added[dev_table.FILE] = Path(work) / dev_table.FILE
            dev_table.write(added[dev_table.FILE], trials)
        written = model_writer.derive(
            model,
            folder,
            added,
            without=[dev_table.FORMER_FILE] if trials is not None else [],
            config=model.config.replace(operating_point=name),
            operating_point=name,
            model_version=folder.name,
            fingerprint=folder.name.removeprefix("calibrated-"),
            run_id=run_id,
            parent=model.model_version,
            **changed,
        )
    mlflow.log_params({"store_folder": store.folder.name, "operating_point": name, "folds": int(fold.max() + 1)})
    mlflow.log_metrics(_mlflow_metrics("before", before) | _mlflow_metrics("after", after))
    mlflow.log_text(text, model_folders.CARD)
    mlflow.set_tag("command", provenance.command())
    print(f"\n{about}\n\n{found}\n")
    if "cllr" in after and after["cllr"].value >= before["cllr"].value:
        print("note: Cllr on held-out speakers is no lower than before: the parent is as well calibrated for these")
    return written


def _table(found: Sequence[Mapping[str, Estimate]], thresholds: Mapping[str, float]) -> str:
    """Figures as Markdown, a column for each; ``thresholds`` by the names of the columns."""
    lines = [f"| | {' | '.join(thresholds)} |", "|---|" + "---|" * len(thresholds)]
    for figure, title in ROWS.items():
        if figure in found[0]:
            lines.append(f"| {title} | {' | '.join(_cell(figure, each[figure]) for each in found)} |")
    return "\n".join([*lines, f"| threshold | {' | '.join(f'{value:+.2f}' for value in thresholds.values())} |"])


def _cell(figure: str, found: Estimate) -> str:
    if figure == "cllr":
        return f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"
    return f"{100 * found.value:.1f} % ({100 * found.low:.1f}–{100 * found.high:.1f})"


def _mlflow_metrics(when: str, found: Mapping[str, Estimate]) -> dict[str, float]:
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{when}/{n}{end}": getattr(e, field) for n, e in found.items() for end, field in ends.items()}


@cli.command(sections=("corpus", "audio"), options=CalibrateOptions, with_given=True)
def main(config: Config, options: CalibrateOptions, given: dict) -> int:
    """Entry point ``calibrate``."""
    subsets = [name.strip() for name in options.subset.split(",")]
    for name in subsets:
        if name not in manifest.SUBSETS:
            raise ConfigError(f"--subset {name!r}: choose among {', '.join(manifest.SUBSETS)}, comma separated")
    if not options.store and "corpus" not in given:
        raise ConfigError("name the labelled recordings: --corpus folder --data_dir DIR, or --store FOLDER")
    model = ModelFolder.load(model_folders.find(options.model))
    store = Store.open(Path(options.store) if options.store else preprocess.ensure(config, otherwise="none"))
    folder = calibrate(model, store, subsets, options.operating_point, options.segments)
    print(f"model folder: {folder}")
    if options.register:
        from pipeline.register import register

        register(folder)
    else:
        print(f"register it: python -m pipeline.register --model {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
