"""From the best configuration to the registered model: trained with several seeds, beside the default parameters.

Dev chooses the seed (the median one) and, by the registry's rule, whether the model becomes champion; eval is measured
after that and chooses nothing.
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
    """The seeds that ``--final_seeds`` names; raises ``ConfigError`` for what is no list of whole numbers."""
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
    """The row whose EER on dev is the median one, the lower of two middle ones."""
    return table.sort_values(["dev", "seed"]).iloc[(len(table) - 1) // 2]


def markdown(table: pd.DataFrame, own: optuna.Study, median: pd.Series, decision: Decision) -> str:
    """Default parameters against tuned ones, every seed and the mean."""
    settings, best = study.settings_of(own), study.ranked(own)[0]
    seeds_shown = ", ".join(str(seed) for seed in dict.fromkeys(table["seed"]))
    lines = [f"EER in %, seeds {seeds_shown} (mean)", "", "| | dev | eval |", "|---|---|---|"]
    for name in (DEFAULT, TUNED):
        cells = []
        for subset in ("dev", "eval"):
            values = 100 * table.loc[table["config"] == name, subset]
            cells.append(f"{', '.join(f'{value:.2f}' for value in values)} ({values.mean():.2f})")
        lines.append("| " + " | ".join([name, *cells]) + " |")
    lines += ["", f"Default parameters: {results.params_shown(settings.defaults)}."]
    lines += [f"Tuned: {results.params_shown(best.params)}; trial {best.number} of {results.counts(own)}."]
    lines += [f"Registered: {median['model']}, seed {median['seed']}, the median on dev. "]
    lines[-1] += "It is the champion" if decision.promoted else "It is a candidate, and not the champion"
    return "\n\n".join(["\n".join(lines[:6]), *lines[7:]]) + f": {decision.reason}.\n"
