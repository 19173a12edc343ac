"""Which parts of the augmentation keep the label: each alone and each left out, measured on dev at a small budget.

Training with a part that destroys what tells the classes apart costs accuracy on dev. One seed of a small network a
setting is a first look: what it suggests is confirmed by ``compare`` with several seeds. Eval is not looked at.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import cli, tracking
from pipeline.config import SECTIONS, AugmentConfig, Config, artifacts_dir, option

PARTS = [f.name for f in dataclasses.fields(AugmentConfig) if f.name != "augment_strength"]
LAST_EPOCHS = 3


@dataclass(frozen=True)
class ScreenOptions:
    """What to screen on."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    output: str = option("", "folder for the table; empty: artifacts/comparisons/augmentation")


def settings(config: Config) -> dict[str, Config]:
    """Name to configuration: all parts at ``augment_strength``, none, each left out, each alone."""
    strength = config.augment.augment_strength
    none = config.replace(augment_strength=0.0, **dict.fromkeys(PARTS, 0.0))
    every = config.replace(**dict.fromkeys(PARTS, -1.0))
    found = {"all": every, "none": none}
    found |= {f"without {part.removeprefix('augment_')}": every.replace(**{part: 0.0}) for part in PARTS}
    return found | {f"{part.removeprefix('augment_')} alone": none.replace(**{part: strength}) for part in PARTS}


def screen(config: Config, store_folder: Path) -> pd.DataFrame:
    """One row a setting: dev EER and AUC, means over the last epochs."""
    import mlflow

    from pipeline import train
    from pipeline.scoring import model_folders

    rows = []
    for name, chosen in settings(config).items():
        print(f"\n== {name} ==", flush=True)
        folder = train.train(chosen, store_folder)
        history = mlflow.MlflowClient().get_metric_history
        run_id = model_folders.ModelFolder.load(folder).run_id
        last = {m: [x.value for x in history(run_id, f"dev/{m}")][-LAST_EPOCHS:] for m in ("eer", "auc")}
        rows.append({"setting": name, **{metric: float(np.mean(values)) for metric, values in last.items()}})
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """The table, a row a part."""
    values = {row.setting: f"{100 * row.eer:.1f} % / {row.auc:.3f}" for row in table.itertuples()}
    lines = [
        "| dev EER / AUC | left out | alone |",
        "|---|---|---|",
        f"| all, none | {values['all']} | {values['none']} |",
    ]
    for part in (part.removeprefix("augment_") for part in PARTS):
        lines.append(f"| {part} | {values[f'without {part}']} | {values[f'{part} alone']} |")
    return "\n".join(lines) + "\n"


@cli.command(sections=tuple(SECTIONS), options=ScreenOptions, default_preset="demo")
def main(config: Config, options: ScreenOptions) -> int:
    """Screen and print the table."""
    import mlflow

    from pipeline import preprocess

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
