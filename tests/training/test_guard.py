"""Guard of a training from another model: what the folder keeps, what is measured, which epochs are kept, refusals."""

import shutil

import mlflow
import numpy as np
import pytest

from pipeline import metrics, tracking, train
from pipeline.errors import ConfigError, ProjectError
from pipeline.scoring.model_folders import ModelFolder
from pipeline.training import devices, gradient_descent, guard, loop
from pipeline.training.data import Data
from pipeline.training.guard import Guard
from pipeline.training.logits import utterance_logits
from tests.support import toy

pytestmark = pytest.mark.usefixtures("tracking_store")


@pytest.fixture(scope="module")
def config(smoke):
    return smoke.replace(backbone="lcnn", dense_units=8, epochs=1)


@pytest.fixture(scope="module")
def parent(synthetic_store, config, empty_tracking_store, tmp_path_factory) -> ModelFolder:
    place = tmp_path_factory.mktemp("parent")
    shutil.copy(empty_tracking_store, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
        patch.chdir(place)
        mlflow.set_tracking_uri(None)
        return ModelFolder.load(train.train(config, synthetic_store.folder))


@pytest.fixture
def child(config, parent):
    return config.replace(init=str(parent.folder), freeze="backbone", epochs=3)


def built(config, store):
    devices.prepare(config)
    return gradient_descent.build(config, 1), Data.of(store, config)


def test_the_folder_measures_its_dev_without_audio(parent, child, synthetic_store):
    model, data = built(child, synthetic_store)
    found = guard.of(model, child)
    assert found.margin is None
    with np.load(parent.folder / guard.FILE, allow_pickle=False) as kept:
        assert kept["levels"].dtype == np.uint8
        assert kept["bonafide"].tolist() == data.bonafide[data.dev].tolist()
        first = utterance_logits(model, synthetic_store, data.dev, child.replace(windows="first"))
        np.testing.assert_allclose(kept["logits"], first, atol=0.05)
        assert found.before == metrics.eer(kept["logits"], kept["bonafide"])
    assert found.measure() == pytest.approx(found.before, abs=1e-6)
    model.get_layer("logit").set_weights([-weight for weight in model.get_layer("logit").get_weights()])
    assert found.measure() == pytest.approx(1 - found.before, abs=0.05), (
        "a head turned round is as wrong as it was right"
    )


def test_training_reports_both_figures_and_names_its_parent(parent, child, synthetic_store, capsys):
    made = ModelFolder.load(train.train(child.replace(epochs=1, guard=100.0), synthetic_store.folder))
    run = mlflow.get_run(made.run_id)
    assert made.parent == parent.model_version == run.data.tags["parent"]
    before, after = run.data.metrics[guard.BEFORE], run.data.metrics[guard.AFTER]
    printed = f"dev of {parent.model_version}: EER {100 * before:.2f} % before and {100 * after:.2f} % after"
    assert printed in capsys.readouterr().out


def trained(config, store, monkeypatch, eers, guarded):
    """Progress of a training whose epochs have these EERs on its dev and on that of its parent."""
    names = [f"{subset}/{name}" for subset in ("train", "dev") for name in ("loss", "accuracy", "auc", "eer")]
    others = dict.fromkeys([*names, "speed/clips_per_s", "speed/epoch_s"], 0.0)
    monkeypatch.setattr(loop, "_epoch", lambda *given: others | {"dev/eer": eers[given[-1]][0]})
    theirs = iter([of_parent for _, of_parent in eers])
    monkeypatch.setattr(guard, "_of_folder", lambda *given: Guard(0.1, lambda: next(theirs), "3 clips", given[-1]))
    with tracking.run("trial", stage="trial") as run:
        return loop.fit(guarded, Data.of(store, guarded), devices.prepare(config), run.info.run_id)[0]


def test_epochs_beyond_the_margin_are_never_kept(child, synthetic_store, monkeypatch):
    eers = [(0.3, 0.11), (0.1, 0.13), (0.2, 0.12)]
    for margin, best in ((2.0, 2), (None, 1), (1.5, 0)):
        progress = trained(child, synthetic_store, monkeypatch, eers, child.replace(guard=margin))
        assert progress.best_epoch == best, margin
        assert progress.history[0][guard.BEFORE] == 0.1
    message = r"3 clips the parent has an EER of 10\.00 % and the best of 3 epochs 11\.00 %, so no epoch is kept"
    with pytest.raises(ProjectError, match=message):
        trained(child, synthetic_store, monkeypatch, eers, child.replace(guard=0.5))


def test_a_trained_backbone_is_guarded_by_the_store_of_the_parent(parent, child, synthetic_store, tmp_path):
    whole = child.replace(freeze="none", guard=2.0)
    model, _ = built(whole, synthetic_store)
    with pytest.raises(ConfigError, match=r"--guard 2: the backbone is trained too .*give the Store that smoke-"):
        guard.of(model, whole)
    assert guard.of(model, whole.replace(guard=None)) is None
    found = guard.of(model, whole.replace(guard_store=str(synthetic_store.folder)))
    assert found.before == parent.dev_eer == pytest.approx(found.measure(), abs=1e-6)
    other = toy.make_store(tmp_path / "other")
    with pytest.raises(ConfigError, match="its dev trials are not those of smoke-"):
        guard.of(model, whole.replace(guard_store=str(other.folder)))


def test_what_cannot_be_guarded_is_refused(config, child, synthetic_store):
    model, _ = built(child, synthetic_store)
    for given, message in (
        (config.replace(guard=2.0), "give --init"),
        (child.replace(guard=2.0, keep="last"), "needs --keep best"),
        (child.replace(guard=2.0, clip_s=1.0), r"--clip_s is 1 here and 0\.5 there"),
    ):
        with pytest.raises(ConfigError, match=message):
            guard.of(model, given)
