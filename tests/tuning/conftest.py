"""Fixtures of the tests of tuning: a storage, and a study as a search leaves it."""

from pathlib import Path

import optuna
import pytest

from tests.support.made_study import fill, settings
from tuning import study


@pytest.fixture
def place(tmp_path: Path) -> optuna.storages.RDBStorage:
    """An empty storage."""
    study.quietly()
    return study.storage(f"sqlite:///{tmp_path / 'studies.db'}", 60)


@pytest.fixture
def searched(place) -> optuna.Study:
    """A study of 24 trials."""
    own = study.create(place, "smoke-1", settings())
    fill(own, 24)
    return own
