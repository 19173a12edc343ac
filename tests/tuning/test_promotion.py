"""Choice of the training that is registered, and the table of default against tuned parameters."""

import pandas as pd
import pytest

from pipeline.errors import ConfigError
from pipeline.registry.promotion import Decision
from tuning import promotion, study

TABLE = pd.DataFrame(
    [
        {"config": name, "seed": seed, "model": f"{name[0]}{seed}", "dev": dev, "eval": 2 * dev}
        for name, values in (("default parameters", (0.2, 0.21, 0.25)), ("tuned", (0.14, 0.1, 0.12)))
        for seed, dev in enumerate(values)
    ]
)


def test_the_median_on_dev_is_chosen():
    tuned = TABLE[TABLE["config"] == "tuned"]
    assert promotion.middle(tuned)["seed"] == 2
    assert promotion.middle(tuned.assign(eval=[0.0, 0.9, 0.9]))["seed"] == 2, "eval chooses nothing"
    assert promotion.middle(tuned[:2])["seed"] == 1, "the lower of two"
    assert promotion.middle(tuned[:1])["seed"] == 0


def test_the_table_has_every_seed_and_the_outcome(searched):
    text = promotion.markdown(TABLE, searched, TABLE.iloc[5], Decision(False, "dev EER 12 % against 11 % of x"))
    best = study.ranked(searched)[0]
    assert text.startswith("EER in %, seeds 0, 1, 2 (mean)\n\n| | dev | eval |\n|---|---|---|\n")
    assert "| default parameters | 20.00, 21.00, 25.00 (22.00) | 40.00, 42.00, 50.00 (44.00) |\n" in text
    assert "| tuned | 14.00, 10.00, 12.00 (12.00) | 28.00, 20.00, 24.00 (24.00) |\n" in text
    assert "Default parameters: dropout 0.3, learning_rate 0.001, augment_strength 0, front_end logmel.\n" in text
    assert f"; trial {best.number} of 24 trials: " in text
    assert "Registered: t2, seed 2, the median on dev. It is a candidate, not the champion: dev EER 12 %" in text


def test_seeds_are_whole_numbers_or_none():
    assert promotion.seeds("0, 3,5") == [0, 3, 5]
    assert promotion.seeds("none") == []
    with pytest.raises(ConfigError, match="--final_seeds '1,x': expected whole numbers, comma separated, or none"):
        promotion.seeds("1,x")
