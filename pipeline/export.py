"""Export a model: LiteRT in float32, float16 and int8, and ONNX, each measured against the Keras model.

Size, time of a window, largest change of a score and EER on the eval subset of a Store come out as a table, in a
folder beside the files and in an MLflow run. A format that changes the EER by more than half a point is marked, and of
the others the quickest on one thread is chosen; what it is chosen for is another program, as this project's own
scoring keeps to the float32 file of the model folder.
"""

import dataclasses
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import cli, metrics, preprocess, tracking
from pipeline.common.progress import track
from pipeline.config import BONAFIDE, Config, artifacts_dir, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.scoring import model_folders, runtimes
from pipeline.scoring.detector import Detector, Network
from pipeline.scoring.model_folders import ModelFolder
from pipeline.serving.latency_log import percentile
from pipeline.store import manifest
from pipeline.store.store import Store

MAX_EER_CHANGE = 0.005
THREADS = (1, 2)
ROUNDS = 100
WARM_UP = 5
INDEX = "exports.csv"


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and what to measure it on."""

    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion")
    store: str = option("", "folder of a Store; empty: that of the model's own corpus")
    subset: str = option("eval", "subset to score (train, dev, eval)")
    output: str = option("", "folder for the files and the table; empty: artifacts/exports/MODEL")
    clips: int = option(0, "clips of the subset at most, drawn at random; 0: all")


@dataclass(frozen=True)
class Exported:
    """One format, measured. Times are of a call with one window; ``note`` says why it is not to be used."""

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


def run(model: ModelFolder, store: Store, *, subset: str = "eval", clips: int = 0, output: Path | None = None) -> Path:
    """Export, measure and log a model; returns the folder that holds the files and the table."""
    rows = _rows(store, subset, clips)
    folder = output or artifacts_dir() / "exports" / model.model_version
    folder.mkdir(parents=True, exist_ok=True)
    network = _keras(model)
    files, failures = _write(model, network, folder)
    labels = (store.manifest["label"].iloc[rows] == BONAFIDE).to_numpy()
    expected = _scores(model, store, rows, _compiled(network), "keras")
    reference = Exported(
        "keras", model_folders.KERAS, _megabytes(model.folder / model_folders.KERAS), eer=_eer(expected, labels)
    )
    times = _times(files, np.stack([_window(model, store.waveform(row)) for row in rows[:ROUNDS]]))
    found = [reference]
    for name, path in files.items():
        scores = _scores(model, store, rows, runtimes.of(path, os.cpu_count() or 1), name)
        eer = _eer(scores, labels)
        change = None if eer is None else eer - reference.eer
        found.append(
            Exported(
                name,
                path.name,
                _megabytes(path),
                *times[name],
                largest_score_difference=float(np.abs(scores - expected).max()),
                eer=eer,
                eer_change=change,
                note=note_on(change),
            )
        )
    found += [Exported(name, note=f"cannot be exported: {reason}") for name, reason in failures.items()]
    found = choose(found)
    _log(model, store, subset, len(rows), found, folder)
    return folder


def note_on(eer_change: float | None) -> str:
    """Why a format is not to be used, if it changes the EER too much for it."""
    marked = eer_change is not None and abs(eer_change) > MAX_EER_CHANGE
    return f"changes the EER by over {100 * MAX_EER_CHANGE:g} points" if marked else ""


def choose(found: Sequence[Exported]) -> list[Exported]:
    """The same with the quickest on one thread marked as chosen, among those without a note."""
    able = [one for one in found if one.p50_ms_1_thread is not None and not one.note]
    quickest = min(able, key=lambda one: one.p50_ms_1_thread, default=None)
    return [dataclasses.replace(one, chosen=one is quickest) for one in found]


def table(found: Sequence[Exported]) -> str:
    """The measurements for people."""
    lines = [
        f"{'format':<16}{'MB':>7}{'p50 ms':>9}{'p95 ms':>9}{'p50 ms':>9}{'p95 ms':>9}{'largest':>11}{'EER':>9}",
        f"{'':<23}{'1 thread':>18}{'2 threads':>18}{'difference':>11}{'%':>9}",
    ]
    for one in found:
        times = (one.p50_ms_1_thread, one.p95_ms_1_thread, one.p50_ms_2_threads, one.p95_ms_2_threads)
        eer = None if one.eer is None else 100 * one.eer
        mark = "chosen" if one.chosen else one.note
        lines.append(
            f"{one.format:<16}{_shown(one.size_mb, 7, 1)}{''.join(_shown(value, 9, 2) for value in times)}"
            f"{_shown(one.largest_score_difference, 11, 5)}{_shown(eer, 9, 2)}  {mark}".rstrip()
        )
    return "\n".join(lines)


def _rows(store: Store, subset: str, clips: int) -> np.ndarray:
    if subset not in manifest.SUBSETS:
        raise ConfigError(f"--subset {subset!r}: choose one of {', '.join(manifest.SUBSETS)}")
    rows = store.subset(subset)
    if not len(rows):
        raise ConfigError(f"--subset {subset}: {store.folder} has no clips there; choose another subset")
    if 0 < clips < len(rows):
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:clips])
    return rows


def _keras(model: ModelFolder) -> "keras.Model":  # noqa: F821
    path = model.keras
    if path is None:
        raise ModelFolderError(
            f"{model.folder}: it holds no {model_folders.KERAS}, which every export is made from; train again"
        )
    from pipeline.network import networks

    return networks.load(path)


def _write(
    model: ModelFolder,
    network: "keras.Model",  # noqa: F821
    folder: Path,
) -> tuple[dict[str, Path], dict[str, str]]:
    """The file of each format, and why there is none of the others."""
    from pipeline.network.formats import WRITERS

    files, failures = {}, {}
    for name, (suffix, write) in WRITERS.items():
        path = folder / f"{name}{suffix}"
        print(f"writing {path.name}", flush=True)
        try:
            if name == "litert-float32":
                shutil.copyfile(model.litert, path)  # the very file that scores
            else:
                write(network, path)
            runtimes.of(path, 1)(np.zeros((1, model.clip_samples), np.float32))
        # Converters and runtimes raise whatever they like; a network that one of them cannot take is a result.
        except Exception as error:
            path.unlink(missing_ok=True)
            failures[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            files[name] = path
    return files, failures


def _compiled(network: "keras.Model") -> Network:  # noqa: F821
    from pipeline.network.formats import as_function

    function = as_function(network)
    return lambda windows: function(np.ascontiguousarray(windows, np.float32)).numpy()[:, 0].astype(np.float64)


def _scores(model: ModelFolder, store: Store, rows: np.ndarray, network: Network, name: str) -> np.ndarray:
    """Calibrated scores ``[rows]`` by the detector's own way, with another network in it."""
    waves = (store.waveform(row) for row in rows)
    logits = track(Detector(model, network=network).utterance_logits(waves), total=len(rows), what=f"score {name}")
    return model.calibration.apply(np.fromiter(logits, np.float64, len(rows)))


def _window(model: ModelFolder, wave: np.ndarray) -> np.ndarray:
    from pipeline.audio import windows

    return windows.cut(wave, 0, model.config.window)


def _times(files: dict[str, Path], waves: np.ndarray) -> dict[str, tuple[float, ...]]:
    """p50 and p95 in ms of a call with one window, for each number of threads; the formats take turns."""
    running = {(name, threads): runtimes.of(path, threads) for name, path in files.items() for threads in THREADS}
    spent: dict[tuple[str, int], list[float]] = {key: [] for key in running}
    for number in range(WARM_UP + ROUNDS):
        window = waves[number % len(waves)][None]
        for key, network in running.items():
            started = time.perf_counter()
            network(window)
            spent[key].append(1000 * (time.perf_counter() - started))
    ordered = {key: sorted(values[WARM_UP:]) for key, values in spent.items()}
    return {
        name: tuple(percentile(ordered[name, threads], p) for threads in THREADS for p in (50, 95)) for name in files
    }


def _log(model: ModelFolder, store: Store, subset: str, clips: int, found: Sequence[Exported], folder: Path) -> None:
    import mlflow
    import pandas as pd

    shown = pd.DataFrame([dataclasses.asdict(one) for one in found])
    shown.to_csv(folder / INDEX, index=False)
    (folder / "exports.txt").write_text(table(found) + "\n", encoding="utf-8")
    tags = {"model_version": model.model_version, "corpus": store.name, "subset": subset, "trained_in": model.run_id}
    with tracking.run(f"export {model.model_version}", stage="export", tags=tags):
        mlflow.log_params({"scored_clips": clips, "store_folder": store.folder.name, "fingerprint": store.fingerprint})
        for one in found:
            values = {name: value for name, value in dataclasses.asdict(one).items() if isinstance(value, float)}
            mlflow.log_metrics({f"export/{one.format}/{name}": value for name, value in values.items()})
        mlflow.set_tag("chosen", next((one.format for one in found if one.chosen), "none"))
        mlflow.log_table(shown.astype(object).where(shown.notna(), None), "exports.json")
        mlflow.log_artifacts(str(folder), "exports")


def _eer(scores: np.ndarray, labels: np.ndarray) -> float | None:
    return metrics.eer(scores, labels) if 0 < labels.sum() < len(labels) else None


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _shown(value: float | None, width: int, digits: int) -> str:
    return f"{'' if value is None else format(value, f'.{digits}f'):>{width}}"


@cli.command(options=ExportOptions)
def main(_: Config, options: ExportOptions) -> int:
    """Entry point ``export``."""
    model = ModelFolder.load(model_folders.find(options.model))
    store_folder = Path(options.store) if options.store else preprocess.ensure(model.config)
    output = Path(options.output) if options.output else None
    folder = run(model, Store.open(store_folder), subset=options.subset, clips=options.clips, output=output)
    print(f"\n{(folder / 'exports.txt').read_text(encoding='utf-8')}")
    print(f"files and table: {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
