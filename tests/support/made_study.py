"""Study as a search leaves it, made without trainings."""

import math
from datetime import datetime, timedelta

import numpy as np
import optuna
from optuna.trial import TrialState

from pipeline.config import Config, preset
from tuning import space, study

PARAMS = ("dropout", "learning_rate", "augment_strength", "front_end")
START = datetime(2026, 1, 2, 3, 4, 5)


def settings(**values) -> study.Settings:
    config: Config = preset("smoke").replace(epochs=12)
    given = {"config": config, "params": PARAMS, "objectives": ("eer",), "pruner": "hyperband", "store": "s"}
    return study.Settings(**given | values)


def fill(own: optuna.Study, trials: int) -> None:
    """Add trials, the default parameters first; about half are pruned, the fifth failed."""
    about = study.settings_of(own)
    rng = np.random.default_rng(7)
    for number in range(trials):
        params = about.defaults if number == 0 else _draw(about, rng)
        level = 0.1 + 0.1 * abs(math.log10(params["learning_rate"]) + 3.2) + 0.2 * abs(params["augment_strength"] - 0.4)
        epochs = 12 if number == 0 or level < 0.2 else 2 if level > 0.25 else 6
        curve = {e: level + 0.3 * math.exp(-e / 3) for e in range(1, epochs + 1)}
        dev = {
            "dev/eer": curve[epochs],
            "dev/cllr": 2 * level,
            "dev/min_dcf": 0.9,
            "dev/auc": 1 - level,
            "dev/loss": 1.0,
        }
        attrs = {"epochs": epochs, "dev": dev, "run_id": f"{number:032d}", "worker": "host:1:0.00"}
        state = TrialState.FAIL if number == 4 else TrialState.COMPLETE if epochs == 12 else TrialState.PRUNED
        if state == TrialState.FAIL:
            attrs = {"error": "ProjectError: training diverged", "run_id": f"{number:032d}"}
        if number == 0:
            attrs["source"] = study.DEFAULT
        values = [curve[epochs] if n == "eer" else 3 + 10 * params["dropout"] for n in about.objectives]
        if "latency" in about.objectives and "dev" in attrs:
            dev["latency_ms"] = values[1]
        made = optuna.create_trial(
            state=state,
            values=values if state == TrialState.COMPLETE else None,
            params=params,
            distributions=about.space,
            user_attrs=attrs,
            intermediate_values=curve if len(about.objectives) == 1 and state != TrialState.FAIL else None,
        )
        made.datetime_start = START + timedelta(minutes=number)
        made.datetime_complete = made.datetime_start + timedelta(seconds=10 * epochs)
        own.add_trial(made)


def _draw(about: study.Settings, rng: np.random.Generator) -> dict[str, object]:
    low, high = math.log10(1e-5), math.log10(3e-3)
    return {
        "dropout": float(rng.uniform(0, 0.6)),
        "learning_rate": float(10 ** rng.uniform(low, high)),
        "augment_strength": float(rng.uniform(0, 1)),
        "front_end": str(rng.choice(space.SPACE["front_end"].choices)),
    }
