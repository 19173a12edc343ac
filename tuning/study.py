"""Study of a search in Optuna's storage, complete enough for any process to resume it.

A study keeps its settings, the id of its MLflow run and its trials. A worker needs only the storage's URL and the
study's name.
"""

import json
import math
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState

from pipeline import tracking
from pipeline.config import Config, artifacts_dir, fingerprint
from pipeline.errors import ConfigError
from tuning import objective, space
from tuning.abandoned import retry

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""States that count towards ``--trials``; a failed trial does not."""
STARTUP_TRIALS = 6
"""Trials before the sampler learns from them; Optuna's ten are half of a search of twenty."""
REDUCTION_FACTOR = 3
"""Halving and Hyperband keep one of this many trials at each rung."""
WARM_START_TRIALS = 5
RUN_ID, SETTINGS, WARMED = "run_id", "settings", "warm_started_from"
SOURCE, DEFAULT = "source", "default parameters"


@dataclass(frozen=True)
class Settings:
    """Everything that defines a search; ``store`` is the fingerprint of the Store that all trials train on."""

    config: Config
    params: tuple[str, ...]
    objectives: tuple[str, ...]
    pruner: str
    store: str

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Space that trials are drawn from."""
        return space.around(self.params, self.config)

    @property
    def defaults(self) -> dict[str, object]:
        """Parameters of the first trial."""
        return space.defaults(self.params, self.config)

    def plain(self) -> dict[str, object]:
        """JSON-able values; without ``require_gpu``, which changes no result."""
        config = self.config.replace(require_gpu=False).flat()
        space = {name: json.loads(distribution_to_json(about)) for name, about in self.space.items()}
        return json.loads(json.dumps(vars(self) | {"config": config, "space": space}))

    @classmethod
    def of(cls, plain: Mapping) -> "Settings":
        """Read the settings that ``plain`` returned."""
        values = dict(plain["config"])
        config = Config(preset=values.pop("preset")).replace(**values)
        return cls(config, tuple(plain["params"]), tuple(plain["objectives"]), plain["pruner"], plain["store"])

    def study_name(self) -> str:
        """Name of the study unless the user gives one: equal settings resume one study."""
        return f"{self.config.preset}-{fingerprint(self.plain())}"


def default_storage() -> str:
    """URL of the SQLite storage under artifacts."""
    folder = artifacts_dir() / "tuning"
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'studies.db'}"


def storage(url: str, heartbeat_s: int, tries: int = 10) -> optuna.storages.RDBStorage:
    """Open the storage at a URL; raises ``ConfigError`` if that fails.

    Processes that open a new storage at once make its tables at once, and all but one fail: they try again.
    """
    from sqlalchemy.exc import IntegrityError, SQLAlchemyError

    # For the plain name SQLAlchemy takes another driver than the one installed here.
    driven = re.sub("^postgres(ql)?://", "postgresql+psycopg2://", tracking.login_apart(url))
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
        if tries > 1 and (isinstance(error, IntegrityError) or "already exists" in str(error)):
            time.sleep(0.2)
            return storage(url, heartbeat_s, tries - 1)
        shown = tracking.without_password(url)
        raise ConfigError(f"--storage {shown}: cannot be opened: {str(error).splitlines()[0]}") from None


def create(place: optuna.storages.RDBStorage, name: str, settings: Settings) -> optuna.Study:
    """Open or create the study of a name; raises ``ConfigError`` if it was made with other settings."""
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
    """Open an existing study; raises ``ConfigError`` if there is none of this name."""
    known = optuna.get_all_study_names(place)
    if name not in known:
        raise ConfigError(f"no study {name!r} in this storage; there is {', '.join(sorted(known)) or 'none'}")
    return optuna.load_study(storage=place, study_name=name)


def settings_of(study: optuna.Study) -> Settings:
    """Settings that a study was made with."""
    return Settings.of(study.user_attrs[SETTINGS])


def equip(study: optuna.Study, seed: int) -> None:
    """Set the pruner of a study, and the sampler of its next trial.

    The sampler's seed depends on the number of trials, so a resumed search draws what it would have drawn without the
    stop, and repeats no trial.
    """
    number = len(study.get_trials(deepcopy=False))
    drawn = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=drawn, n_startup_trials=STARTUP_TRIALS)
    study.pruner = pruner(settings_of(study))


def pruner(settings: Settings) -> optuna.pruners.BasePruner:
    """Pruner of a study; it ends no trial before its first epoch at the full learning rate is over."""
    epochs, first = settings.config.train.epochs, math.ceil(settings.config.train.warmup_epochs) + 1
    if settings.pruner == "none" or epochs <= first:
        return optuna.pruners.NopPruner()
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=first)
    if settings.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION_FACTOR)
    return optuna.pruners.HyperbandPruner(min_resource=first, max_resource=epochs, reduction_factor=REDUCTION_FACTOR)


def queue(study: optuna.Study, warm_start: optuna.Study | None = None) -> None:
    """Queue the default parameters, then the best trials of another study; each only once."""
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
    """Complete trials, best first; with several objectives the Pareto front, ordered by the first objective."""
    several = len(study.directions) > 1
    complete = study.best_trials if several else study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(complete, key=lambda trial: sign * trial.values[0])


def quietly() -> None:
    """Silence Optuna's log, which repeats this project's lines, and its warnings about experimental features."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _differences(known: Mapping, wanted: Mapping) -> list[str]:
    """Settings of a study that differ from the wanted ones, as ``option value``."""
    options = {name: value for name, value in known["config"].items() if wanted["config"].get(name) != value}
    others = {name: value for name, value in known.items() if name not in ("config", "space") and wanted[name] != value}
    found = [f"{name} {value}" for name, value in (options | others).items()]
    return found or (["another search space"] if known["space"] != wanted["space"] else [])
