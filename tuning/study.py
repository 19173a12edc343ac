"""The study: what Optuna's storage holds of a search, so that any process can go on with it.

A study keeps the settings it was made with, the id of its MLflow run and its trials; a worker needs nothing but the
storage's URL and the study's name.
"""

import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState

from pipeline.config import Config, artifacts_dir, fingerprint
from pipeline.errors import ConfigError
from tuning import objective, space
from tuning.abandoned import retry

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""What counts as a trial that was run; a failed one does not."""
STARTUP_TRIALS = 6
"""Trials before the sampler learns from them; Optuna's ten are half of a search of twenty."""
REDUCTION_FACTOR = 3
"""Halving and Hyperband keep one in so many trials at each of their rungs."""
WARM_START_TRIALS = 5
RUN_ID, SETTINGS, WARMED = "run_id", "settings", "warm_started_from"
SOURCE, DEFAULT = "source", "default parameters"


@dataclass(frozen=True)
class Settings:
    """What makes a search the one it is. ``store`` is the fingerprint of the Store that all its trials train on."""

    config: Config
    params: tuple[str, ...]
    objectives: tuple[str, ...]
    pruner: str
    store: str

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """The space that trials are drawn from."""
        return space.around(self.params, self.config)

    @property
    def defaults(self) -> dict[str, object]:
        """The parameters of the first trial."""
        return space.defaults(self.params, self.config)

    def plain(self) -> dict[str, object]:
        """JSON-able values; ``require_gpu`` says where to train, and not what."""
        return {
            "config": self.config.replace(require_gpu=False).flat(),
            "params": list(self.params),
            "objectives": list(self.objectives),
            "pruner": self.pruner,
            "store": self.store,
            "space": {name: json.loads(distribution_to_json(about)) for name, about in self.space.items()},
        }

    @classmethod
    def of(cls, plain: Mapping) -> "Settings":
        """The settings that ``plain`` gave."""
        values = dict(plain["config"])
        config = Config(preset=values.pop("preset")).replace(**values)
        return cls(config, tuple(plain["params"]), tuple(plain["objectives"]), plain["pruner"], plain["store"])

    def study_name(self) -> str:
        """The name of the study that nobody named: equal settings go on with one study."""
        return f"{self.config.preset}-{fingerprint(self.plain())}"


def default_storage() -> str:
    """SQLite under artifacts."""
    folder = artifacts_dir() / "tuning"
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'studies.db'}"


def storage(url: str, heartbeat_s: int) -> optuna.storages.RDBStorage:
    """The storage behind a URL; raises ``ConfigError`` where it cannot be opened."""
    from sqlalchemy.exc import SQLAlchemyError

    # SQLAlchemy takes another driver than the one of this project for the plain name.
    driven = re.sub("^postgres(ql)?://", "postgresql+psycopg2://", url)
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        return optuna.storages.RDBStorage(
            driven,
            engine_kwargs=patient,
            heartbeat_interval=heartbeat_s,
            grace_period=2 * heartbeat_s,
            heartbeat_stale_trial_callback=retry,
        )
    except (SQLAlchemyError, ImportError, ValueError) as error:
        shown = re.sub(r":[^:/@]+@", ":***@", url)
        raise ConfigError(f"--storage {shown}: cannot be opened: {str(error).splitlines()[0]}") from None


def create(place: optuna.storages.RDBStorage, name: str, settings: Settings) -> optuna.Study:
    """The study of a name, made where it is not there; raises ``ConfigError`` for one with other settings."""
    study = optuna.create_study(
        storage=place,
        study_name=name,
        directions=[objective.OBJECTIVES[n].direction for n in settings.objectives],
        load_if_exists=True,
    )
    known = study.user_attrs.get(SETTINGS)
    if known is None:
        study.set_user_attr(SETTINGS, settings.plain())
    elif different := _differences(known, settings.plain()):
        raise ConfigError(
            f"--study {name!r} was made with {', '.join(different)}; give another name, or those settings"
        )
    return study


def load(place: optuna.storages.RDBStorage, name: str) -> optuna.Study:
    """A study that is there; raises ``ConfigError`` where it is not."""
    known = optuna.get_all_study_names(place)
    if name not in known:
        raise ConfigError(f"no study {name!r} in this storage; there is {', '.join(sorted(known)) or 'none'}")
    return optuna.load_study(storage=place, study_name=name)


def settings_of(study: optuna.Study) -> Settings:
    """The settings that a study was made with."""
    return Settings.of(study.user_attrs[SETTINGS])


def equip(study: optuna.Study, seed: int) -> None:
    """Give a study its pruner, and the sampler of the trial that is drawn next.

    The sampler's seed depends on how many trials there are: a search that goes on then draws what it would have drawn
    if it had never stopped, and not its first trials over again.
    """
    settings = settings_of(study)
    number = len(study.get_trials(deepcopy=False))
    drawn = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=drawn, n_startup_trials=STARTUP_TRIALS)
    study.pruner = pruner(settings)


def pruner(settings: Settings) -> optuna.pruners.BasePruner:
    """The pruner of a study; no trial is judged before its first epoch at the full learning rate is over."""
    epochs, first = settings.config.train.epochs, math.ceil(settings.config.train.warmup_epochs) + 1
    if settings.pruner == "none" or epochs <= first:
        return optuna.pruners.NopPruner()
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=first)
    if settings.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION_FACTOR)
    return optuna.pruners.HyperbandPruner(min_resource=first, max_resource=epochs, reduction_factor=REDUCTION_FACTOR)


def queue(study: optuna.Study, warm_start: optuna.Study | None = None) -> None:
    """Put the default parameters first in line, and after them the best trials of another study."""
    settings = settings_of(study)
    there = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.FAIL]
    if not any(t.user_attrs.get(SOURCE) == DEFAULT for t in there):
        study.enqueue_trial(settings.defaults, user_attrs={SOURCE: DEFAULT})
    if warm_start and WARMED not in study.user_attrs:
        for trial in ranked(warm_start)[:WARM_START_TRIALS]:
            values = space.inside(trial.params, settings.space)
            source = f"{warm_start.study_name}, trial {trial.number}"
            study.enqueue_trial(values, user_attrs={SOURCE: source}, skip_if_exists=True)
        study.set_user_attr(WARMED, warm_start.study_name)


def ranked(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Complete trials, the best first; with several objectives the Pareto front, the best of the first one first."""
    several = len(study.directions) > 1
    complete = study.best_trials if several else study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(complete, key=lambda trial: sign * trial.values[0])


def quietly() -> None:
    """Say nothing of what this project says itself or uses on purpose."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _differences(known: Mapping, wanted: Mapping) -> list[str]:
    """What a study has where it differs from what is wanted, as ``option value``."""
    plain = json.loads(json.dumps(wanted))  # as the storage gives it back
    options = {name: value for name, value in known["config"].items() if plain["config"].get(name) != value}
    others = {name: value for name, value in known.items() if name not in ("config", "space") and plain[name] != value}
    found = [f"{name} {value}" for name, value in (options | others).items()]
    return found or (["another search space"] if known["space"] != plain["space"] else [])
