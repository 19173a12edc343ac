"""Training of a head on stored features of a frozen encoder, and of a part of the encoder with a rate of its own."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import tracking, train
from pipeline.errors import ConfigError, ProjectError
from pipeline.network import networks
from pipeline.scoring import runtimes
from pipeline.scoring.model_folders import ModelFolder
from pipeline.training import checkpoint, devices, features, frozen_encoder, gradient_descent, guard, loop
from pipeline.training.data import Data
from pipeline.training.features import Features

pytestmark = pytest.mark.usefixtures("tracking_store")
ENCODERS = Path(__file__).parent.parent / "data" / "encoders"


@pytest.fixture
def config(smoke):
    return smoke.replace(
        backbone="whisper", encoder=str(ENCODERS / "whisper"), encoder_layers=1, epochs=3, variants=2,
        augment_strength=0.2,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    """Folder of the features."""
    return tmp_path / "artifacts" / "features"


def shards(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.npy")}


def built(config, store) -> tuple[keras.Model, Data]:
    devices.prepare(config)
    return networks.build(config), Data.of(store, config)


def test_only_the_head_learns_and_the_model_folder_scores_like_keras(config, synthetic_store, folder):
    trained = ModelFolder.load(train.train(config, synthetic_store.folder))
    kept = shards(folder)
    assert {path.parts[1].split("-")[0] for path in kept} == {"epoch", "windows"}
    model, fresh = networks.load(trained.keras), networks.build(config)
    for name, changed in (("encoder", False), (networks.ENCODER_HEAD, True)):
        pairs = zip(model.get_layer(name).get_weights(), fresh.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(own, other) for own, other in pairs) is not changed, name
    assert guard.FILE in trained.sha256
    waves = np.stack([synthetic_store.waveform(row)[: trained.clip_samples] for row in range(4)])
    np.testing.assert_allclose(runtimes.of(trained.litert, 1)(waves), model.predict(waves, verbose=0)[:, 0], atol=1e-3)

    other = config.replace(learning_rate=1e-2, dropout=0.1, dense_units=8)
    with tracking.run("other head", stage="train") as run:
        loop.fit(other, Data.of(synthetic_store, other), devices.prepare(other), run.info.run_id)
    assert shards(folder) == kept, "another head finds the features of the first"


def test_lost_features_are_computed_again_as_they_were(config, synthetic_store, folder, monkeypatch):
    monkeypatch.setattr(features, "SHARD", 64)
    first = Features(*built(config, synthetic_store), config)
    part = first.epoch(1)
    kept = shards(folder)
    assert len(kept) == 2
    assert part.take(np.array([70, 3])).shape == (2, *part.shards[0].shape[1:])
    assert not np.array_equal(part.shards[0][:56], first.epoch(0).shards[0][:56]), "each variant has draws of its own"
    lost = folder / next(path for path in kept if path.name == "00001.npy")
    lost.unlink()
    Features(*built(config, synthetic_store), config).epoch(1)
    assert lost.read_bytes() == kept[lost.relative_to(folder)]


def test_disk_space_is_bounded(config, synthetic_store, folder, capsys):
    model, data = built(config, synthetic_store)
    with pytest.raises(ConfigError, match=r"--features_gb 1e-06: the features of 10000 windows take .* GB .*raise it"):
        Features(model, data, config.replace(features_gb=1e-6)).reserve(10_000)
    old, used = folder / "old", folder / "used"
    for other in (old, used):
        other.mkdir()
        np.save(other / "00000.npy", np.zeros(1000))
        (other / features.LOCK).touch()
    with (used / features.LOCK).open() as lock:
        features.fcntl.flock(lock, features.fcntl.LOCK_SH)
        Features(model, data, config.replace(features_gb=4e-5)).reserve(100)
    assert "deleting" in capsys.readouterr().out
    assert (old.exists(), used.exists()) == (False, True)


def test_an_encoder_learns_at_its_own_rate_and_without_decay(config, synthetic_store):
    config = config.replace(encoder_trainable="all", encoder_learning_rate=1e-5, schedule="constant", weight_decay=0.5)
    model, data = built(config, synthetic_store)[0], Data.of(synthetic_store, config)
    gradient_descent.prepare(model, config, data.steps())
    before = [weight.numpy() for weight in model.trainable_weights]
    model.train_on_batch(*next(data.epoch(0).as_numpy_iterator()))
    # The first step of Adam is its learning rate, and decay takes half of that, times the weight.
    steps = {"encoder": 0.0, "bias": 0.0, "kernel": 0.0}
    for weight, old in zip(model.trainable_weights, before, strict=True):
        part = "encoder" if weight.path.startswith("encoder/") else weight.name
        steps[part] = max(steps.get(part, 0.0), np.abs(weight.numpy() - old).max())
    assert steps["encoder"] == pytest.approx(1e-5, rel=0.05)
    assert steps["bias"] == pytest.approx(1e-3, rel=0.05)
    assert steps["kernel"] > 1.1e-3


def test_a_state_of_another_precision_is_refused(config, synthetic_store, tmp_path):
    saved = checkpoint.Progress(""), [np.zeros(1)], []
    data = Data.of(synthetic_store, config)
    with pytest.raises(ProjectError, match=r"state\.npz: holds 1 variables and this training has .* another precision"):
        loop.fit(config, data, devices.prepare(config), "", state_file=tmp_path / "state.npz", saved=saved)


def test_a_frozen_encoder_is_not_frozen_twice(config):
    with pytest.raises(ConfigError, match="--freeze backbone: --encoder_trainable says"):
        frozen_encoder.build(config.replace(freeze="backbone"), 1)


def test_the_fingerprint_of_a_training_follows_the_contents_of_the_encoder(config, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(ENCODERS / "whisper", copy)
    assert train._encoder(config) == train._encoder(config.replace(encoder=str(copy), features_gb=1.0))
    assert train._encoder(config) != train._encoder(config.replace(encoder=str(ENCODERS / "xls-r")))
