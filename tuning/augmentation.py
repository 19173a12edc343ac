"""Screen the augmentation: measure on dev, with few epochs, what each part does only by itself and left out.

A part that destroys what tells the classes apart raises the EER on dev. One seed of a small network per setting
suggests candidates; ``compare`` confirms them with several seeds. Eval is not used.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, preprocess, tracking, train
from pipeline.config import SECTIONS, AugmentConfig, Config, artifacts_dir, option
from pipeline.scoring.model_folders import ModelFolder

PARTS = [f.name.removeprefix("augment_") for f in dataclasses.fields(AugmentConfig) if f.name != "augment_strength"]
LAST_EPOCHS = 3


@dataclass(frozen=True)
class ScreenOptions:
    """Data to screen on."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    output: str = option("", "folder for the table; empty: artifacts/comparisons/augmentation")


def settings(config: Config) -> dict[str, Config]:
    """Name to configuration: all parts at ``augment_strength``, none, each part left out, each only by itself."""
    strength = config.augment.augment_strength
    none = config.replace(augment_strength=0.0, **{f"augment_{part}": 0.0 for part in PARTS})
    every = config.replace(**{f"augment_{part}": -1.0 for part in PARTS})
    found = {"all": every, "none": none}
    found |= {f"without {part}": every.replace(**{f"augment_{part}": 0.0}) for part in PARTS}
    return found | {f"only {part}": none.replace(**{f"augment_{part}": strength}) for part in PARTS}


def screen(config: Config, store_folder: Path) -> pd.DataFrame:
    """One row per setting: dev EER and AUC, means over the last epochs."""
    import mlflow

    rows = []
    for name, chosen in settings(config).items():
        print(f"\n== {name} ==", flush=True)
        run_id = ModelFolder.load(train.train(chosen, store_folder)).run_id
        row: dict[str, object] = {"setting": name}
        for metric in ("eer", "auc"):
            history = mlflow.MlflowClient().get_metric_history(run_id, f"dev/{metric}")
            row[metric] = float(np.mean([point.value for point in history][-LAST_EPOCHS:]))
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Table with one row per part."""
    values = {row.setting: f"{100 * row.eer:.1f} % / {row.auc:.3f}" for row in table.itertuples()}
    lines = ["| dev EER / AUC | left out | only this |", "|---|---|---|"]
    lines.append(f"| all, none | {values['all']} | {values['none']} |")
    lines += [f"| {part} | {values[f'without {part}']} | {values[f'only {part}']} |" for part in PARTS]
    return "\n".join(lines) + "\n"


@cli.command(sections=tuple(SECTIONS), options=ScreenOptions, default_preset="demo")
def main(config: Config, options: ScreenOptions) -> int:
    """Screen and print the table."""
    import mlflow

    store_folder = Path(options.store) if options.store else preprocess.ensure(config)
    folder = Path(options.output) if options.output else artifacts_dir() / "comparisons" / "augmentation"
    with tracking.run("augmentation", stage="screen", tags={"corpus": config.corpus.corpus}):
        table = screen(config, store_folder)
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "augmentation.csv", index=False)
        (folder / "augmentation.md").write_text(markdown(table), encoding="utf-8")
        mlflow.log_artifacts(str(folder))
    print(f"\n{markdown(table)}\ntable: {folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
