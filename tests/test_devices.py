"""Several devices: two logical ones on this machine's CPU learn what one learns from the same batches."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.config import PROJECT_ROOT

LOSSES = """
import json, sys
from pathlib import Path

import keras
import tensorflow as tf

from pipeline import descent, devices, models, train
from pipeline.config import preset
from pipeline.store import Store
from pipeline.training_data import Data

two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
base = preset("smoke").replace(backbone="lcnn", dropout=0.0, batch_size=6, schedule="constant", learning_rate=1e-3)


def freeze(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def fitted(config, count, change):
    # Loss of an epoch, what dev is taken for after it, and every variable on each device, on so many devices.
    found = devices.prepare(config.train)
    device = devices.Device(found.name, found.places[:count], found.precision)
    data = Data.of(Store.open(Path(sys.argv[1])), config.train)
    with device.scope():
        model = descent.build(config, data.steps(device.count))
        change(model)
    loss = descent.learner(model, data, config, device.count)(0)
    logits = train.utterance_logits(model, data.store, data.dev, config)
    copies = {v.path: [c.numpy().tolist() for c in getattr(v.value, "values", [v.value])] for v in model.variables}
    return {"loss": loss, "logits": list(logits), "copies": copies}


print(json.dumps({
    name: {count: fitted(config, count, change) for count in counts}
    for name, counts, config, change in (
        ("frozen", (1, 2), base, freeze),
        ("synchronised", (1, 2), base, lambda model: None),
        ("apart", (2,), base.replace(sync_batch_norm=False), lambda model: None),
        ("augmented", (2,), base.replace(augment_strength=0.5, dropout=0.5, pseudo_spoofs=0.5), lambda model: None),
    )
}))
"""


@pytest.fixture(scope="module")
def found(synthetic_store, tmp_path_factory) -> dict:
    """What one device and what two learn, by name of the configuration."""
    program = tmp_path_factory.mktemp("devices") / "losses.py"
    program.write_text(LOSSES)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, str(program), str(synthetic_store.folder)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["frozen", "synchronised"])
def test_two_devices_learn_what_one_does(found, name):
    one, two = found[name]["1"], found[name]["2"]
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
    assert two["logits"] == pytest.approx(one["logits"], abs=1e-2)


def test_without_synchronisation_each_device_normalises_by_its_own_part(found):
    assert abs(found["apart"]["2"]["loss"] - found["synchronised"]["1"]["loss"]) > 1e-3


@pytest.mark.parametrize("name", ["frozen", "synchronised", "apart", "augmented"])
def test_all_devices_hold_the_same_weights(found, name):
    copies = found[name]["2"]["copies"]
    trained = {path: values for path, values in copies.items() if "seed_generator" not in path}
    assert len(trained) > 20
    for path, (first, second) in trained.items():
        assert first == second, path


def test_augmentation_and_dropout_learn_on_two_devices(found):
    assert 0 < found["augmented"]["2"]["loss"] < 2
