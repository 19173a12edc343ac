"""The search space: which options a search can vary, and between which values."""

from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from pipeline.config import Config
from pipeline.errors import ConfigError

SPACE: dict[str, BaseDistribution] = {
    "dropout": FloatDistribution(0.0, 0.6),
    "learning_rate": FloatDistribution(1e-5, 3e-3, log=True),
    "augment_strength": FloatDistribution(0.0, 1.0),
    "weight_decay": CategoricalDistribution((0.0, 1e-4, 1e-3, 1e-2, 1e-1)),
    "front_end": CategoricalDistribution(("logmel", "logspec", "lfcc", "cqt")),
    "normalisation": CategoricalDistribution(("peak", "cmvn", "none")),
    "clip_s": CategoricalDistribution((1.0, 2.0, 3.0, 4.0)),
    "n_mels": CategoricalDistribution((40, 64, 80, 128)),
    "n_bands": CategoricalDistribution((60, 100, 128)),
    "backbone": CategoricalDistribution(("efficientnetb0", "lcnn", "rawnet2", "resnet18", "vgg")),
}
USERS = {"n_mels": {"logmel"}, "n_bands": {"logspec", "lfcc"}}
"""Front ends that an option is for."""


def names(text: str) -> tuple[str, ...]:
    """The options that ``--params`` names; raises ``ConfigError`` for one that cannot be tuned."""
    chosen = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in chosen:
        if name not in SPACE:
            raise ConfigError(f"--params {name!r}: choose among {', '.join(SPACE)}, comma separated")
    return chosen


def defaults(params: Sequence[str], config: Config) -> dict[str, object]:
    """What a configuration says itself."""
    values = config.flat()
    return {name: values[name] for name in params}


def around(params: Sequence[str], config: Config) -> dict[str, BaseDistribution]:
    """The space of the named options, wide enough to hold the configuration that the search starts from."""
    found = {}
    fronts = set(SPACE["front_end"].choices) if "front_end" in params else {config.front_end.front_end}
    for name, users in USERS.items():
        if name in params and not fronts & users:
            raise ConfigError(f"--params {name}: the front end {config.front_end.front_end} has no use for it")
    for name, own in defaults(params, config).items():
        space = SPACE[name]
        if isinstance(space, CategoricalDistribution):
            missing = () if own in space.choices else (own,)
            found[name] = CategoricalDistribution((*space.choices, *missing))
        elif space.log and own <= 0:
            raise ConfigError(f"--{name} {own!r}: a search of it starts from a value above 0")
        else:
            found[name] = FloatDistribution(min(space.low, own), max(space.high, own), log=space.log)
    return found


def draw(trial: optuna.Trial, space: dict[str, BaseDistribution]) -> dict[str, object]:
    """The values of one trial."""
    values = {}
    for name, about in space.items():
        if isinstance(about, CategoricalDistribution):
            values[name] = trial.suggest_categorical(name, about.choices)
        else:
            values[name] = trial.suggest_float(name, about.low, about.high, log=about.log)
    return values


def inside(values: dict[str, object], space: dict[str, BaseDistribution]) -> dict[str, object]:
    """Those of the values that the space knows and holds."""
    kept = {}
    for name in values.keys() & space.keys():
        about, value = space[name], values[name]
        held = (
            value in about.choices if isinstance(about, CategoricalDistribution) else about.low <= value <= about.high
        )
        if held:
            kept[name] = value
    return kept
