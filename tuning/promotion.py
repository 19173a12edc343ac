"""Promotion of the best configuration: train it with several seeds beside the default parameters, and register it.

Dev chooses the seed (the median one) and, by the rule of the registry, whether the model becomes champion. Eval is
measured afterwards and chooses nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd

from pipeline import compare, register
from pipeline.config import artifacts_dir
from pipeline.errors import ConfigError, ProjectError
from pipeline.registry.promotion import Decision
from tuning import results, study

TABLE = "tuned.md"
DEFAULT, TUNED = "default parameters", "tuned"


def seeds(text: str) -> list[int]:
    """Seeds of ``--final_seeds``; raises ``ConfigError`` for anything but a list of whole numbers or none."""
    if text == "none":
        return []
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ConfigError(f"--final_seeds {text!r}: expected whole numbers, comma separated, or none") from None


def promote(own: optuna.Study, epochs: int, chosen: Sequence[int], store_folder: Path, folder: Path) -> None:
    """Train and evaluate both configurations with each seed, register the median one, write and log the table."""
    import mlflow

    if not study.ranked(own):
        raise ProjectError("no trial was completed, so there is nothing to promote; give more --trials or --timeout_s")
    configs = {
        DEFAULT: study.settings_of(own).config.replace(epochs=epochs),
        TUNED: results.best_config(own).replace(epochs=epochs),
    }
    table = compare.run(configs, list(chosen), store_folder, folder / "final")
    median = middle(table[table["config"] == TUNED])
    decision = register.register(artifacts_dir() / "models" / median["model"])
    text = markdown(table, own, median, decision)
    (folder / TABLE).write_text(text, encoding="utf-8")
    mlflow.log_artifact(str(folder / TABLE))
    mlflow.set_tags({"chosen_model": median["model"], "promoted": str(decision.promoted).lower()})
    for name, rows in table.groupby("config"):
        prefix = name.split()[0]
        mlflow.log_metrics({f"{prefix}/{subset}_eer": float(rows[subset].mean()) for subset in ("dev", "eval")})
    print(f"\n{text}\ntable: {folder / TABLE}")


def middle(table: pd.DataFrame) -> pd.Series:
    """Row with the median EER on dev, the lower of two middle ones."""
    return table.sort_values(["dev", "seed"]).iloc[(len(table) - 1) // 2]


def markdown(table: pd.DataFrame, own: optuna.Study, median: pd.Series, decision: Decision) -> str:
    """Table of default against tuned parameters, every seed and the mean, with the outcome below it."""
    rows = []
    for name in (DEFAULT, TUNED):
        runs = 100 * table.loc[table["config"] == name, ["dev", "eval"]]
        cells = [f"{', '.join(f'{eer:.2f}' for eer in runs[s])} ({runs[s].mean():.2f})" for s in runs]
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    best = study.ranked(own)[0]
    role = "the champion" if decision.promoted else "a candidate, not the champion"
    return (
        f"EER in %, seeds {', '.join(map(str, table['seed'].unique()))} (mean)\n\n"
        f"| | dev | eval |\n|---|---|---|\n{''.join(rows)}\n"
        f"Default parameters: {results.params_shown(study.settings_of(own).defaults)}.\n\n"
        f"Tuned: {results.params_shown(best.params)}; trial {best.number} of {results.counts(own)}.\n\n"
        f"Registered: {median['model']}, seed {median['seed']}, the median on dev. It is {role}: {decision.reason}.\n"
    )
