"""Search space: its edges, and that the default parameters always lie in it."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pipeline.config import PRESETS, preset
from pipeline.errors import ConfigError
from tuning import space


def test_the_default_space_is_that_of_the_help():
    from tuning.search import TuneOptions

    assert TuneOptions().params == "dropout,learning_rate,augment_strength"
    assert space.SPACE["dropout"] == FloatDistribution(0.0, 0.6)
    assert space.SPACE["learning_rate"] == FloatDistribution(1e-5, 3e-3, log=True)
    assert space.SPACE["augment_strength"] == FloatDistribution(0.0, 1.0)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_lies_in_the_space_of_all_options(name):
    config = preset(name)
    about = space.around(tuple(space.SPACE), config)
    assert space.inside(space.defaults(tuple(space.SPACE), config), about).keys() == space.SPACE.keys()


def test_a_configuration_outside_widens_the_space():
    config = preset("smoke").replace(dropout=0.7, learning_rate=1e-6)
    about = space.around(("dropout", "learning_rate", "n_mels"), config)
    assert about["dropout"] == FloatDistribution(0.0, 0.7)
    assert about["learning_rate"] == FloatDistribution(1e-6, 3e-3, log=True)
    assert about["n_mels"] == CategoricalDistribution((40, 64, 80, 128, 32))


def test_an_option_that_cannot_be_tuned_is_an_error():
    with pytest.raises(ConfigError, match=r"--learning_rate 0\.0: a search of it starts from a value above 0"):
        space.around(("learning_rate",), preset("smoke").replace(learning_rate=0.0))
    with pytest.raises(ConfigError, match="--params n_mels: the front end logspec does not use it"):
        space.around(("n_mels",), preset("demo"))


def test_drawn_values_are_options_of_a_configuration():
    about = space.around(tuple(space.SPACE), preset("demo"))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    values = space.draw(trial, about)
    assert trial.params == values
    assert space.inside(values, about) == values
    assert preset("demo").replace(**values).flat().items() >= values.items()


def test_values_of_another_space_are_left_out():
    about = space.around(("dropout", "n_mels"), preset("notebook"))
    assert space.inside({"dropout": 0.9, "n_mels": 64, "clip_s": 2.0}, about) == {"n_mels": 64}
