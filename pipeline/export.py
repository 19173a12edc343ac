"""Export a model to LiteRT (float32, float16, int8) and ONNX, and measure each format against the Keras model.

Size, time per window, largest change of a score and EER go to a table beside the files and to an MLflow run. A format
that changes the EER by more than half a point gets a note; of the others the fastest on one thread is chosen. Scoring
uses the float32 file, unless ``--apply true`` writes a model folder in which the fastest LiteRT file takes its place.
"""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, metrics, preprocess, tracking
from pipeline.audio import windows
from pipeline.common import parallel
from pipeline.common.progress import track
from pipeline.config import BONAFIDE, MODEL_HELP, Config, artifacts_dir, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.scoring import model_folders, model_writer, runtimes
from pipeline.scoring.detector import Detector, Network
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import manifest
from pipeline.store.store import Store

MAX_EER_CHANGE = 0.005
THREADS = (1, 2)
ROUNDS = 100
WARM_UP = 5
INDEX, TEXT = "exports.csv", "exports.txt"
OWN = "litert-float32"
"""Format of the file in a model folder that training wrote."""


@dataclass(frozen=True)
class ExportOptions:
    """Model to export, and data to measure it on."""

    model: str = option("", MODEL_HELP)
    store: str = option("", "folder of a Store; empty: that of the model's own corpus")
    subset: str = option("eval", "subset to score", choices=manifest.SUBSETS)
    output: str = option("", "folder for the files and the table; empty: artifacts/exports/MODEL")
    clips: int = option(0, "most clips of the subset to score, drawn at random; 0: all")
    apply: bool = option(
        False, "true: write a model folder that scores with the fastest LiteRT file; needs --subset dev, which chooses"
    )


@dataclass(frozen=True)
class Exported:
    """Measurements of one format; times are per call with one window, ``note`` is the reason against its use."""

    format: str
    file: str = ""
    size_mb: float | None = None
    p50_ms_1_thread: float | None = None
    p95_ms_1_thread: float | None = None
    p50_ms_2_threads: float | None = None
    p95_ms_2_threads: float | None = None
    largest_score_difference: float | None = None
    eer: float | None = None
    eer_change: float | None = None
    chosen: bool = False
    note: str = ""


def run(
    model: ModelFolder,
    store: Store,
    *,
    subset: str = "eval",
    clips: int = 0,
    output: Path | None = None,
    apply: bool = False,
) -> Path:
    """Export, measure and log a model; return the folder of the files and the table. ``apply``: see ``carry``."""
    rows = _rows(store, subset, clips)
    if model.keras is None:
        raise ModelFolderError(f"{model.folder}: no {model_folders.KERAS}, which exports are made from; train again")
    from pipeline.network import networks

    folder = output or artifacts_dir() / "exports" / model.model_version
    folder.mkdir(parents=True, exist_ok=True)
    network = networks.load(model.keras)
    files, failures = _write(model, network, folder)
    labels = (store.manifest["label"].iloc[rows] == BONAFIDE).to_numpy()
    expected = _scores(model, store, rows, _compiled(network), "keras")
    eer = _eer(expected, labels)
    found = [Exported("keras", model.keras.name, _megabytes(model.keras), eer=eer)]
    waves = [windows.cut(store.waveform(row), 0, model.config.window) for row in rows[:ROUNDS]]
    times_ms = _times_ms(files, np.stack(waves))
    for name, path in files.items():
        scores = _scores(model, store, rows, runtimes.of(path, parallel.cores()), name)
        own = _eer(scores, labels)
        change = None if own is None else own - eer
        difference = float(np.abs(scores - expected).max())
        measured = (path.name, _megabytes(path), *times_ms[name], difference, own, change)
        found.append(Exported(name, *measured, note=note_on(change)))
    found += [Exported(name, note=f"cannot be exported: {reason}") for name, reason in failures.items()]
    _log(model, store, subset, len(rows), choose(found), folder)
    if apply:
        print(f"model folder: {carry(model, found, folder).folder}")
    return folder


def note_on(eer_change: float | None) -> str:
    """Return the note on a format that changes the EER too much; empty for the others."""
    marked = eer_change is not None and abs(eer_change) > MAX_EER_CHANGE
    return f"changes the EER by over {100 * MAX_EER_CHANGE:g} points" if marked else ""


def choose(found: Sequence[Exported]) -> list[Exported]:
    """Mark the fastest format on one thread as chosen, among those without a note."""
    able = [one for one in found if one.p50_ms_1_thread is not None and not one.note]
    fastest = min(able, key=lambda one: one.p50_ms_1_thread, default=None)
    return [dataclasses.replace(one, chosen=one is fastest) for one in found]


def carry(model: ModelFolder, found: Sequence[Exported], folder: Path) -> ModelFolder:
    """Write a model folder that scores with the fastest LiteRT file; the model itself if that is its own.

    Calibration, thresholds and dev trials stay those of the float32 file, whose EER it has within ``MAX_EER_CHANGE``.
    """
    able = choose([one for one in found if one.file.endswith(".tflite")])
    chosen = next((one for one in able if one.chosen), None)
    if chosen is None or chosen.format == OWN:
        return model
    version = f"{model.model_version}-{chosen.format.removeprefix('litert-')}"
    place = artifacts_dir() / "models" / version
    return model_writer.derive(model, place, {model_folders.LITERT: folder / chosen.file}, model_version=version)


def text(found: pd.DataFrame) -> str:
    """Format the table for the terminal."""
    columns = {"size_mb": ("MB", 1)}
    for threads in ("1_thread", "2_threads"):
        columns |= {f"p{p}_ms_{threads}": (f"p{p} ms, {threads.replace('_', ' ')}", 2) for p in (50, 95)}
    columns |= {"largest_score_difference": ("score difference", 5), "eer": ("EER %", 2)}
    shown = found[["format"]].copy()
    for name, (title, digits) in columns.items():
        values = 100 * found[name] if name == "eer" else found[name]
        shown[title] = ["" if pd.isna(value) else f"{value:.{digits}f}" for value in values]
    notes = ["", *found["note"].mask(found["chosen"], "chosen")]
    lines = shown.to_string(index=False).splitlines()
    return "\n".join(f"{line}  {note}".rstrip() for line, note in zip(lines, notes, strict=True))


def _rows(store: Store, subset: str, clips: int) -> np.ndarray:
    rows = store.subset(subset)
    if not len(rows):
        raise ConfigError(f"--subset {subset}: {store.folder} has no clips there; choose another subset")
    if 0 < clips < len(rows):
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:clips])
    return rows


def _write(
    model: ModelFolder,
    network: "keras.Model",  # noqa: F821
    folder: Path,
) -> tuple[dict[str, Path], dict[str, str]]:
    """Write each format; return the files, and the reasons of the formats without one."""
    from pipeline.network.formats import WRITERS

    files, failures = {}, {}
    for name, (suffix, write) in WRITERS.items():
        path = folder / f"{name}{suffix}"
        print(f"writing {path.name}", flush=True)
        try:
            if name == OWN:
                shutil.copyfile(model.litert, path)  # the file that scores
            else:
                write(network, path)
            runtimes.of(path, 1)(np.zeros((1, model.clip_samples), np.float32))
        # Converters and runtimes raise anything; a network that one of them cannot take is a result.
        except Exception as error:
            path.unlink(missing_ok=True)
            failures[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            files[name] = path
    return files, failures


def _compiled(network: "keras.Model") -> Network:  # noqa: F821
    from pipeline.network.formats import as_function

    function = as_function(network)
    return lambda batch: function(np.ascontiguousarray(batch, np.float32)).numpy()[:, 0].astype(np.float64)


def _scores(model: ModelFolder, store: Store, rows: np.ndarray, network: Network, name: str) -> np.ndarray:
    """Calibrated scores ``[rows]`` of the model's detector with another network in it."""
    waves = (store.waveform(row) for row in rows)
    logits = Detector(model, network=network).utterance_logits(waves, map(store.speech, rows))
    logits = track(logits, total=len(rows), what=f"score {name}")
    return model.calibration.apply(np.fromiter(logits, np.float64, len(rows)))


def _times_ms(files: dict[str, Path], waves: np.ndarray) -> dict[str, list[float]]:
    """p50 and p95 of a call with one window, per number of threads; the formats take turns."""
    networks = {(name, threads): runtimes.of(path, threads) for name, path in files.items() for threads in THREADS}
    spent: dict[tuple[str, int], list[float]] = {key: [] for key in networks}
    for number in range(WARM_UP + ROUNDS):
        window = waves[number % len(waves)][None]
        for key, network in networks.items():
            started = time.perf_counter()
            network(window)
            spent[key].append(1000 * (time.perf_counter() - started))
    percentiles = {key: np.percentile(values[WARM_UP:], (50, 95)).tolist() for key, values in spent.items()}
    return {name: [value for threads in THREADS for value in percentiles[name, threads]] for name in files}


def _log(model: ModelFolder, store: Store, subset: str, clips: int, found: Sequence[Exported], folder: Path) -> None:
    import mlflow

    table = pd.DataFrame(found)
    table.to_csv(folder / INDEX, index=False)
    (folder / TEXT).write_text(text(table) + "\n", encoding="utf-8")
    tags = {"model_version": model.model_version, "corpus": store.name, "subset": subset, "trained_in": model.run_id}
    with tracking.run(f"export {model.model_version}", stage="export", tags=tags):
        mlflow.log_params({"scored_clips": clips, "store_folder": store.folder.name, "fingerprint": store.fingerprint})
        for one in found:
            values = {name: value for name, value in dataclasses.asdict(one).items() if isinstance(value, float)}
            mlflow.log_metrics({f"export/{one.format}/{name}": value for name, value in values.items()})
        mlflow.set_tag("chosen", next((one.format for one in found if one.chosen), "none"))
        mlflow.log_table(table.astype(object).where(table.notna(), None), "exports.json")
        mlflow.log_artifacts(str(folder), "exports")


def _eer(scores: np.ndarray, labels: np.ndarray) -> float | None:
    return metrics.eer(scores, labels) if 0 < labels.sum() < len(labels) else None


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


@cli.command(options=ExportOptions)
def main(_: Config, options: ExportOptions) -> int:
    """Entry point ``export``."""
    if options.apply and options.subset != "dev":
        raise ConfigError(f"--apply true --subset {options.subset}: only dev may choose what scores; give --subset dev")
    model = ModelFolder.load(model_folders.find(options.model))
    store_folder = Path(options.store) if options.store else preprocess.ensure(model.config)
    output = Path(options.output) if options.output else None
    given = {"subset": options.subset, "clips": options.clips, "output": output, "apply": options.apply}
    folder = run(model, Store.open(store_folder), **given)
    print(f"\n{(folder / TEXT).read_text(encoding='utf-8')}\nfiles and table: {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
