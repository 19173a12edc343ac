"""Search space: the options that a search can vary, and the range of each."""

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
"""Front ends that use an option."""


def defaults(params: Sequence[str], config: Config) -> dict[str, object]:
    """Values of the named options in a configuration."""
    values = config.flat()
    return {name: values[name] for name in params}


def around(params: Sequence[str], config: Config) -> dict[str, BaseDistribution]:
    """Space of the named options, widened to hold the configuration that the search starts from."""
    found = {}
    fronts = set(SPACE["front_end"].choices) if "front_end" in params else {config.front_end.front_end}
    for name, users in USERS.items():
        if name in params and not fronts & users:
            raise ConfigError(f"--params {name}: the front end {config.front_end.front_end} does not use it")
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
    """Draw the values of one trial."""
    return {
        name: trial.suggest_categorical(name, about.choices)
        if isinstance(about, CategoricalDistribution)
        else trial.suggest_float(name, about.low, about.high, log=about.log)
        for name, about in space.items()
    }


def inside(values: dict[str, object], space: dict[str, BaseDistribution]) -> dict[str, object]:
    """Keep the values that lie in the space."""

    def holds(about: BaseDistribution, value: object) -> bool:
        categorical = isinstance(about, CategoricalDistribution)
        return value in about.choices if categorical else about.low <= value <= about.high

    return {name: value for name, value in values.items() if name in space and holds(space[name], value)}
