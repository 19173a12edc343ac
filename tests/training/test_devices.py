"""Two logical devices of a CPU learn what one learns from the same batches; seeds; freed memory is reused."""

import json
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.config import PROJECT_ROOT, preset
from pipeline.store.store import Store
from pipeline.training import devices

LOSSES = """
import json, sys
from pathlib import Path

import keras
import tensorflow as tf

from pipeline.network import networks
from pipeline.training import devices, gradient_descent
from pipeline.config import preset
from pipeline.network.backbones.normalisation import BatchNormalization
from pipeline.store.store import Store
from pipeline.training.data import Data
from pipeline.training.logits import utterance_logits

class Small:
    # A backbone that compiles seconds faster than those of the project, with its normalisation in an inner model.
    INPUT = "spectrogram"

    def features(x, config):
        frames, bands = x.shape[1:]
        inner = keras.Input((frames, bands, 1))
        maps = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(inner)
        maps = BatchNormalization(momentum=config.batch_norm_momentum)(maps)
        return keras.Model(inner, keras.layers.ReLU()(maps))(keras.layers.Reshape((frames, bands, 1))(x))


networks.BACKBONES["small"] = Small
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
base = preset("smoke").replace(backbone="small", dropout=0.0, batch_size=6, schedule="constant", learning_rate=1e-3)


def freeze(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def fitted(config, count, change):
    # Loss of an epoch, logits of dev after it, and every variable on each of ``count`` devices.
    found = devices.prepare(config)
    device = devices.Device(found.name, found.places[:count], found.precision)
    data = Data.of(Store.open(Path(sys.argv[1])), config)
    with device.scope():
        model = gradient_descent.build(config, data.steps(device.count))
        change(model)
    loss = gradient_descent.epoch_runner(model, data, config, device.count)(0)
    logits = utterance_logits(model, data.store, data.dev, config)
    copies = {v.path: [c.numpy().tolist() for c in getattr(v.value, "values", [v.value])] for v in model.variables}
    copies = {path: values for path, values in copies.items() if "seed_generator" not in path}
    return {"loss": loss, "logits": list(logits), "copies": copies}


def overflowed():
    # Scale of the loss, and every variable on each of two devices: after a step, and after another in which the
    # gradients of the second device's part overflow.
    device = devices.prepare(base.replace(mixed_precision="on"))
    with device.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        gradient_descent.prepare(model, base, 1)
    known = []
    for clips in ([1, 1, 1, 1], [1, 1, 6e4, 6e4]):
        model.fit(tf.constant(clips)[:, None], tf.zeros((4, 1)), batch_size=4, shuffle=False, verbose=0)
        variables = {v.path: [c.numpy().tolist() for c in v.value.values] for v in gradient_descent.state(model)}
        known.append({"scale": float(model.optimizer.dynamic_scale.numpy()), "copies": variables})
    return known


overflow = {"overflow": overflowed()} if "overflow" in sys.argv[2:] else {}
print(json.dumps(overflow | {
    name: {count: fitted(config, count, change) for count in counts}
    for name, counts, config, change in (
        ("frozen", (1, 2), base, freeze),
        ("synchronised", (1, 2), base.replace(ema=0.8), lambda model: None),
        ("consecutive", (2,), base.replace(sync_batch_norm=False), lambda model: None),
        ("augmented", (2,), base.replace(augment_strength=0.5, dropout=0.5, pseudo_spoofs=0.5), lambda model: None),
    )
    if name in sys.argv[2:]
}))
"""


TOLERANCE = 1e-4
"""Of losses, in nats, of devices that compute the same."""


def learned(store: Store, *names: str) -> dict:
    """Result of one device and of two, by name of the configuration."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", LOSSES, str(store.folder), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(synthetic_store) -> dict:
    return learned(synthetic_store, "frozen", "synchronised", "consecutive", "overflow")


@pytest.mark.parametrize("name", ["frozen", "synchronised"])
def test_two_devices_learn_what_one_does(found, name):
    one, two = found[name]["1"], found[name]["2"]
    assert two["loss"] == pytest.approx(one["loss"], abs=TOLERANCE)
    assert two["logits"] == pytest.approx(one["logits"], abs=1e-2)


def test_without_synchronisation_each_device_normalises_by_its_own_part(found):
    assert abs(found["consecutive"]["2"]["loss"] - found["synchronised"]["1"]["loss"]) > TOLERANCE
    own = different(found["consecutive"]["2"]["copies"])
    assert own == ["moving_mean", "moving_variance"], "of which the first device's are kept"


@pytest.mark.parametrize("name", ["frozen", "synchronised"])
def test_all_devices_hold_the_same_state(found, name):
    assert different(found[name]["2"]["copies"]) == []


def test_an_overflow_on_any_device_leaves_out_the_step_and_halves_the_scale(found):
    before, after = found["overflow"]
    assert after["scale"] == before["scale"] / 2
    kept = [{path: v for path, v in one["copies"].items() if "loss_scale" not in path} for one in (before, after)]
    assert kept[0] == kept[1]
    assert kept[0]["sequential/dense/kernel"][0] < [[1.0]], "the step before it counts"
    assert different(after["copies"]) == []


def different(copies: dict) -> list[str]:
    """Names of the variables that two devices hold different values of."""
    assert all(len(values) == 2 for values in copies.values())
    return sorted(path.rsplit("/", 1)[-1] for path, (first, second) in copies.items() if first != second)


@pytest.mark.long
def test_augmentation_and_dropout_learn_on_two_devices(synthetic_store):
    found = learned(synthetic_store, "augmented")["augmented"]
    assert 0 < found["2"]["loss"] < 2
    assert different(found["2"]["copies"]) == []


@pytest.mark.parametrize(("device", "deterministic"), [("CPU", False), ("GPU", False), ("GPU", True)])
def test_arithmetic_is_repeatable_on_a_cpu_and_on_a_gpu_if_asked(monkeypatch, device, deterministic):
    import tensorflow as tf

    kinds, asked = [device] if device == "GPU" else [], []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: kinds)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [SimpleNamespace(name=kind)])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *_: None)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {})
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    found = devices.prepare(preset("smoke").replace(deterministic=deterministic, mixed_precision="off"))
    assert (found.name, found.places) == (device, (device,))
    assert asked == ([True] if deterministic or device == "CPU" else [])


@pytest.mark.parametrize(("asked", "policy"), [("on", "mixed_float16"), ("off", "float32"), ("auto", "float32")])
def test_precision_is_that_of_the_layers_built_next(monkeypatch, asked, policy):
    import keras
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    try:
        found = devices.prepare(preset("smoke").replace(mixed_precision=asked))
        assert (found.precision, keras.layers.Dense(1).dtype_policy.name) == (policy, policy)
    finally:
        keras.config.set_dtype_policy("float32")


PAGES, TIMES = 16384, 10
TAKE_AND_FREE = f"""
import resource, sys, threading
from pipeline.training import devices

def take_and_free():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({TIMES}):
        b"x" * ({PAGES} * resource.getpagesize())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if sys.argv[1] == "kept":
    devices.keep_freed_memory()
thread = threading.Thread(target=take_and_free)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="keep_freed_memory is for glibc only")
def test_pages_are_cleared_once():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", TAKE_AND_FREE, how]
        return int(subprocess.run(command, check=True, capture_output=True, cwd=PROJECT_ROOT).stdout)

    assert faults("returned") > TIMES * PAGES * 0.9, "the system's way, or there is nothing to gain here"
    assert faults("kept") < 2 * PAGES
