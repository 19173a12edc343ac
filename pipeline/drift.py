"""Compare served recordings with the dev trials of their model, day by day: has the population changed?

Reads the rows that servers keep (SPOOF_SERVE_ROWS) and files that `score` wrote. Exit status: 0 no drift, 1 drift,
2 bad input.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, tracking
from pipeline.common import files
from pipeline.config import MODEL_HELP, SPOOF, Config, artifacts_dir, option
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import stability
from pipeline.metrics.stability import DRIFT, SIGNIFICANCE, WATCH, Shift
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

NEEDED = ("score", "speech_s", "duration_s", "model_version")
MIN_ROWS = 50
"""A day with fewer scored rows is not judged: chance alone moves the index of fewer beyond its thresholds."""
COMPARED = ("score", "familiarity", "speech_share", "duration_s")
"""Columns that are compared with dev, and decide."""
LATENCY = "latency_ms"
"""Compared with the first day, for dev has none, and shown only: load is no drift."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Reference = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Values and weights of each column, ``[trials]`` both."""


@dataclass(frozen=True)
class DriftOptions:
    """Rows, their model, and thresholds."""

    input: tuple[str, ...] = option((), "logs of servers (SPOOF_SERVE_ROWS), and .csv, .jsonl or .parquet of score")
    model: str = option("", MODEL_HELP)
    output: str = option("", "folder for drift.json and drift.png; empty: artifacts/drift/MODEL")
    days: int = option(0, "newest days that are judged; 0: all", least=0)
    watch: float = option(WATCH, "population stability index from which a change is named", least=0)
    drift: float = option(DRIFT, "population stability index from which a significant change is drift", least=0)
    spoof_share: float | None = option(
        None, "share of spoofs to expect, from 0 to 1; dev is weighted to it; empty: estimated from the scores"
    )


@dataclass(frozen=True)
class Finding:
    """A column on a day: ``p`` is corrected for the number of tests, ``quantiles`` are those of ``QUANTILES``.

    ``state`` is drift, watch, or "" for no change worth a word.
    """

    psi: float
    ks: float
    p: float
    state: str
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Day:
    """A day of a log, or a file without times; a day with too few rows has no findings."""

    name: str
    rows: int
    findings: dict[str, Finding]


def read(path: Path) -> pd.DataFrame:
    """Scored rows of a file, with the columns ``day``, ``COMPARED``, ``LATENCY`` and ``model_version``.

    A row without ``time`` belongs to a day with the name of its file. Missing columns are NaN; raises ``ConfigError``
    for a file that cannot be read and for columns of ``NEEDED`` that are missing.
    """
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path)
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.DataFrame(map(json.loads, path.read_text(encoding="utf-8").splitlines()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as rows: {getattr(error, 'strerror', '') or error}") from None
    if table.empty:
        raise ConfigError(f"{path}: no rows; name a file of SPOOF_SERVE_ROWS, or one that score wrote")
    if missing := [name for name in NEEDED if name not in table]:
        raise ConfigError(f"{path}: column {missing[0]!r} is missing; found {', '.join(map(str, table.columns))}")
    table = table[table["score"].notna()]
    try:
        numbers = table.reindex(columns=["score", "familiarity", "duration_s", "speech_s", LATENCY]).astype(float)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: a column of numbers holds something else: {error}") from None
    day = table["time"].astype(str).str[:10] if "time" in table else path.name
    share = numbers["speech_s"] / numbers["duration_s"]
    return numbers.assign(day=day, speech_share=share, model_version=table["model_version"])


def reference(model: ModelFolder, spoof_share: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Columns of the model's dev, weighted to a share of spoofs.

    A model folder of before dev's lengths were kept has scores only, and one without statistics of it no familiarity.
    Raises ``ModelFolderError`` if there are no dev trials.
    """
    dev = model.dev_scores
    if dev is None or dev.empty:
        raise ModelFolderError(f"{model.folder}: no dev trials, so there is nothing to compare with; train it again")
    spoofs = (dev["label"] == SPOOF).to_numpy()
    weights = np.where(spoofs, spoof_share / max(spoofs.sum(), 1), (1 - spoof_share) / max((~spoofs).sum(), 1))
    columns = {"score": dev["score"]}
    if model.usual is not None and len(model.usual.dev_distances) == len(dev):
        columns["familiarity"] = model.usual.of_dev
    if "duration_s" in dev:
        columns |= {"speech_share": dev["speech_s"] / dev["duration_s"], "duration_s": dev["duration_s"]}
    return {name: (np.asarray(values, float), weights) for name, values in columns.items()}


def compare(rows: pd.DataFrame, known: Reference, options: DriftOptions) -> list[Day]:
    """Findings of each day; ``known`` lacks the columns that are not compared."""
    groups = {str(name): group for name, group in rows.groupby("day", sort=True)}
    judged = [name for name, group in groups.items() if len(group) >= MIN_ROWS][-options.days :]
    first = next((g[LATENCY].dropna().to_numpy() for g in groups.values() if g[LATENCY].count() >= MIN_ROWS), None)
    known = {**known, **({} if first is None else {LATENCY: (first, np.ones(len(first)))})}
    shifts: dict[tuple[str, str], Shift] = {}
    for name in judged:
        for column, (values, weights) in known.items():
            served = groups[name][column].dropna().to_numpy()
            if len(served) >= MIN_ROWS:
                shifts[name, column] = stability.shift(values, weights, served)
    corrected = {}
    for decides in (True, False):  # tests that decide nothing must not weaken those that do
        family = [key for key in shifts if (key[1] != LATENCY) == decides]
        corrected |= zip(family, stability.holm([shifts[key].p for key in family]), strict=True)

    def finding(key: tuple[str, str]) -> Finding:
        found, p = shifts[key], float(corrected[key])
        level = "drift" if found.psi >= options.drift else "watch" if found.psi >= options.watch else ""
        served = groups[key[0]][key[1]].dropna()
        quantiles = tuple(float(value) for value in np.quantile(served, QUANTILES))
        return Finding(found.psi, found.ks, p, level if p < SIGNIFICANCE else "", quantiles)

    return [
        Day(name, len(group), {column: finding((name, column)) for column in known if (name, column) in shifts})
        for name, group in groups.items()
    ]


def drifted(days: Sequence[Day]) -> list[tuple[Day, str]]:
    """Days and columns that decide the exit status."""
    return [
        (day, name) for day in days for name in COMPARED if name in day.findings and day.findings[name].state == "drift"
    ]


def table(days: Sequence[Day]) -> str:
    """Population stability index of each day and column, as lines."""
    columns = [name for name in (*COMPARED, LATENCY) if any(name in day.findings for day in days)]
    width = max(len("day"), *(len(day.name) for day in days))
    lines = [f"{'day':<{width}} {'rows':>7}" + "".join(f"{name:>18}" for name in columns)]
    for day in days:
        cells = [f"{f.psi:.2f} {f.state or '     '}" if (f := day.findings.get(name)) else "" for name in columns]
        shown = "".join(f"{cell:>18}" for cell in cells) if day.findings else "  not judged"
        lines.append(f"{day.name:<{width}} {day.rows:>7}{shown}".rstrip())
    return "\n".join(lines)


def _write(
    folder: Path, model: ModelFolder, days: Sequence[Day], known: Reference, share: float, left_out: int
) -> None:
    from pipeline.reporting import drift_figure

    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(
        folder / "drift.json",
        {
            "model_version": model.model_version,
            "drift": bool(drifted(days)),
            "spoof_share": share,
            "rows_of_other_models": left_out,
            "quantiles": QUANTILES,
            "days": [asdict(day) for day in days],
        },
    )
    (folder / "drift.png").write_bytes(drift_figure.picture(days, known, (*COMPARED, LATENCY), QUANTILES))


def _log(folder: Path, model: ModelFolder, days: Sequence[Day]) -> None:
    import mlflow

    with tracking.run(f"drift {model.model_version}", stage="drift", tags={"model_version": model.model_version}):
        for step, day in enumerate(days):
            found = {f"drift/{name}/psi": one.psi for name, one in day.findings.items()}
            mlflow.log_metrics(found | {"drift/rows": day.rows}, step=step)
        mlflow.log_metric("drift/found", len(drifted(days)))
        mlflow.log_artifacts(str(folder))


@cli.command(options=DriftOptions)
def main(_: Config, options: DriftOptions) -> int:
    """Entry point ``drift``; returns 1 if there is drift."""
    if not options.input:
        raise ConfigError("--input: name the files that SPOOF_SERVE_ROWS or score --output gave")
    if options.spoof_share is not None and not 0 <= options.spoof_share <= 1:
        raise ConfigError(f"--spoof_share {options.spoof_share:g}: expected 0 to 1")
    model = ModelFolder.load(model_folders.find(options.model))
    read_rows = pd.concat([read(Path(name)) for name in options.input], ignore_index=True)
    rows = read_rows[read_rows["model_version"] == model.model_version]
    left_out = len(read_rows) - len(rows)
    if not rows.groupby("day").size().ge(MIN_ROWS).any():
        others = ", ".join(sorted(map(str, set(read_rows["model_version"]) - {model.model_version}))) or "none"
        raise ConfigError(
            f"no day has {MIN_ROWS} scored rows of {model.model_version}: {len(rows)} rows are of this model, "
            f"{left_out} of others ({others}); name more files, or --model"
        )
    share = stability.spoof_share(rows["score"].to_numpy()) if options.spoof_share is None else options.spoof_share
    known = reference(model, share)
    days = compare(rows, known, options)
    folder = Path(options.output) if options.output else artifacts_dir() / "drift" / model.model_version
    _write(folder, model, days, known, share, left_out)
    _log(folder, model, days)
    print(f"population stability index against dev with {100 * share:.1f} % spoofs\n{table(days)}")
    if left_out:
        print(f"{left_out} rows of other models are left out")
    if lacking := [name for name in COMPARED if name not in known]:
        print(f"the dev of this model lacks {', '.join(lacking)}")
    for day, name in drifted(days):
        print(f"drift on {day.name}: {name}, median {day.findings[name].quantiles[2]:.2f}")
    print(f"figure and JSON: {folder}")
    return 1 if drifted(days) else 0


if __name__ == "__main__":
    cli.run(main)
