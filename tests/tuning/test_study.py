"""Study in a real SQLite storage: what it keeps, how it resumes, what it draws."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from pipeline.config import preset
from pipeline.errors import ConfigError
from pipeline.training.checkpoint import Progress
from tests.support.made_study import settings
from tuning import study, trial


def drawn(own: optuna.Study, trials: int, seed: int = 0) -> list[dict]:
    """Parameters of the next trials, each finished with its learning rate as the value."""
    found = []
    for _ in range(trials):
        study.equip(own, seed)
        one = own.ask(study.settings_of(own).space)
        own.tell(one, one.params["learning_rate"])
        found.append(one.params)
    return found


def test_settings_come_back_from_the_storage(place):
    about = settings()
    own = study.create(place, "one", about)
    assert study.settings_of(study.load(place, "one")) == about == study.settings_of(own)


def test_equal_settings_name_one_study_and_others_another():
    about = settings()
    assert about.study_name() == settings().study_name()
    assert about.study_name().startswith("smoke-")
    others = [
        settings(params=("dropout",)),
        settings(store="t"),
        settings(pruner="none"),
        settings(objectives=("auc",)),
    ]
    others.append(settings(config=about.config.replace(batch_size=20)))
    assert len({about.study_name(), *(other.study_name() for other in others)}) == 1 + len(others)
    on_a_gpu = settings(config=about.config.replace(require_gpu=True))
    assert on_a_gpu.study_name() == about.study_name()


def test_a_study_refuses_other_settings_and_names_them(place):
    study.create(place, "one", settings())
    assert study.create(place, "one", settings()).study_name == "one"
    other = settings(config=settings().config.replace(batch_size=20), pruner="median")
    with pytest.raises(ConfigError, match="--study 'one' was made with batch_size 16, pruner hyperband; "):
        study.create(place, "one", other)
    with pytest.raises(ConfigError, match="no study 'two' in this storage; there is one"):
        study.load(place, "two")


@pytest.mark.parametrize("password", ["secret", "sec@ret", "sec:r/et"])
def test_a_storage_error_hides_the_password(password):
    with pytest.raises(ConfigError, match=r"--storage postgresql://\*+@localhost:1/none: cannot be opened") as caught:
        study.storage(f"postgresql://me:{password}@localhost:1/none", 60)
    assert not [part for part in ("sec", "ret", "r/et") if part in str(caught.value)]


def test_a_new_storage_opens_for_all_who_open_it_at_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: study.storage(url, 60), range(8)))
    assert [place.get_all_studies() for place in opened] == [[]] * 8


def test_a_resumed_search_draws_what_it_would_have_drawn(place):
    about = settings(pruner="none")
    whole = drawn(study.create(place, "whole", about), 9)
    own = study.create(place, "stopped", about)
    first = drawn(own, 4)
    second = drawn(study.load(place, "stopped"), 5)
    assert first + second == whole
    assert len({one["dropout"] for one in whole}) == 9, "no trial is drawn twice"
    assert drawn(study.create(place, "other seed", about), 1, seed=1) != whole[:1]


def test_the_default_parameters_are_the_first_trial_and_are_queued_once(place):
    own = study.create(place, "one", settings())
    study.queue(own)
    study.queue(study.load(place, "one"))
    (first,) = own.get_trials()
    assert (first.number, first.state, first.user_attrs) == (0, TrialState.WAITING, {"source": "default parameters"})
    study.equip(own, 0)
    assert own.ask(settings().space).params == settings().defaults


def test_the_best_of_another_study_follow_the_default_parameters(place, searched):
    own = study.create(place, "two", settings(params=("dropout", "learning_rate")))
    study.queue(own, searched)
    study.queue(own, searched)
    best = study.ranked(searched)[:5]
    waiting = [t.system_attrs["fixed_params"] for t in own.get_trials()]
    wanted = [{n: one.params[n] for n in ("dropout", "learning_rate")} for one in best]
    assert waiting == [study.settings_of(own).defaults, *wanted]
    assert own.get_trials()[1].user_attrs["source"] == f"smoke-1, trial {best[0].number}"


def test_trials_are_ranked_by_the_first_objective(place, searched):
    values = [one.value for one in study.ranked(searched)]
    assert values == sorted(values)
    assert len(values) > 4
    own = study.create(place, "auc", settings(objectives=("auc",)))
    for value in (0.6, 0.9, 0.7):
        own.add_trial(optuna.create_trial(values=[value]))
    assert [one.value for one in study.ranked(own)] == [0.9, 0.7, 0.6]
    both = study.create(place, "both", settings(objectives=("eer", "latency")))
    for pair in ((0.2, 1.0), (0.1, 3.0), (0.3, 2.0)):
        both.add_trial(optuna.create_trial(values=list(pair)))
    assert [one.values for one in study.ranked(both)] == [[0.1, 3.0], [0.2, 1.0]], "another beats the third in both"


# Pruning


@pytest.mark.parametrize(
    ("pruner", "epochs", "kind"),
    [("hyperband", 12, "HyperbandPruner"), ("halving", 12, "SuccessiveHalvingPruner"),
     ("median", 12, "MedianPruner"), ("none", 12, "NopPruner"), ("hyperband", 2, "NopPruner")],
)  # fmt: skip
def test_pruners(pruner, epochs, kind):
    about = settings(pruner=pruner, config=preset("smoke").replace(epochs=epochs))
    assert type(study.pruner(about)).__name__ == kind


def ends(own: optuna.Study, eers: list[float], source: str = "") -> int:
    """Epochs that a trial with these dev EERs runs before it is pruned."""
    study.equip(own, 0)
    one = own.ask(study.settings_of(own).space)
    one.set_user_attr("source", source)
    config = study.settings_of(own).config
    after_epoch = trial.epoch_callback(one, config, study.settings_of(own))
    progress = Progress("run")
    for eer in eers:
        progress.history.append({"dev/eer": eer, "dev/cllr": 0.5, "dev/loss": 1.0})
        best = int(np.argmin([row["dev/eer"] for row in progress.history]))
        progress.best_epoch, progress.epoch = best, progress.epoch + 1
        try:
            after_epoch(progress)
        except optuna.TrialPruned:
            own.tell(one, state=TrialState.PRUNED)
            return progress.epoch
    own.tell(one, progress.history[progress.best_epoch]["dev/eer"])
    return progress.epoch


@pytest.mark.parametrize("pruner", ["hyperband", "halving", "median"])
def test_a_trial_without_promise_ends_once_its_learning_rate_has_warmed_up(place, pruner):
    epochs = 4
    own = study.create(place, "one", settings(pruner=pruner, config=preset("smoke").replace(epochs=epochs)))
    good, bad = [0.4, 0.3, 0.2, 0.1], [0.5, 0.49, 0.48, 0.47]
    for _ in range(4):
        assert ends(own, good) == epochs
    assert ends(own, bad) == 2, "not after the first epoch, which warms up"
    assert ends(own, bad, source="default parameters") == epochs, "the default parameters run to their end"
    assert ends(own, [0.4, 0.15, 0.45, 0.45]) == epochs, "the kept epoch counts, not the last"


def test_nothing_is_pruned_with_two_objectives(place):
    own = study.create(place, "one", settings(objectives=("eer", "cllr"), pruner="none"))
    study.equip(own, 0)
    one = own.ask(study.settings_of(own).space)
    after_epoch = trial.epoch_callback(one, settings().config, study.settings_of(own))
    after_epoch(Progress("run", epoch=1, best_epoch=0, history=[{"dev/eer": 0.5, "dev/cllr": 1.0}]))
    assert own.get_trials()[0].user_attrs["dev"] == {"dev/eer": 0.5, "dev/cllr": 1.0}


@pytest.mark.parametrize(("pruner", "at_most"), [("hyperband", 8), ("halving", 6)])
def test_most_epochs_are_saved(place, pruner, at_most):
    """Epochs run of sixteen, on trials that differ as much as those of a search."""
    about = settings(pruner=pruner, config=preset("smoke").replace(epochs=16))
    own = study.create(place, "one", about)
    rng = np.random.default_rng(0)
    spent = [
        ends(own, list(level + 0.3 * np.exp(-np.arange(16) / 5) + rng.normal(0, 0.01, 16)))
        for level in rng.uniform(0.1, 0.4, 40)
    ]
    assert np.mean(spent) < at_most
