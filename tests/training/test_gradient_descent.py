"""Starting from a parent, frozen layers and the average of weights, on a network that compiles in a second."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics.calibration import Calibration, OperatingPoint
from pipeline.network import networks
from pipeline.scoring import model_writer
from pipeline.training import checkpoint, devices, gradient_descent, loop, parent
from pipeline.training.averaging import WeightAverage
from pipeline.training.data import Data

pytestmark = pytest.mark.usefixtures("tracking_store")


class Small:
    INPUT = "spectrogram"

    @staticmethod
    def features(x, config):
        maps = keras.layers.Conv1D(4, 3, strides=2)(x)
        return keras.layers.GlobalAveragePooling1D()(keras.layers.BatchNormalization(momentum=0.9)(maps))


@pytest.fixture
def config(smoke, monkeypatch):
    monkeypatch.setitem(networks.BACKBONES, "small", Small)
    return smoke.replace(backbone="small", dense_units=4, batch_size=40, epochs=3, warmup_epochs=0.5)


@pytest.fixture
def folder(config, tmp_path):
    """Model folder of the small network with random weights."""
    keras.utils.set_random_seed(9)
    (tmp_path / "any.tflite").write_bytes(b"none")
    networks.build(config).save(tmp_path / "parent.keras")
    return model_writer.write(
        tmp_path / "parent", litert=tmp_path / "any.tflite", keras=tmp_path / "parent.keras", config=config,
        calibration=Calibration(1.0, 0.0), operating_points={"eer": OperatingPoint(0.0, 0.5, 0.1, 0.1)},
        operating_point="eer", model_version="parent-1", run_id="", fingerprint="f", versions={}, dev_trials="d",
        dev_eer=0.1,
    ).folder  # fmt: skip


class StoppedError(Exception):
    """Ends a training."""


def fitted(config, store, *, state_file=None, stop_after=0):
    """History, kept weights and model after a training; ``stop_after`` ends it as a kill would."""

    def after_epoch(progress):
        if progress.epoch == stop_after:
            raise StoppedError

    device, data = devices.prepare(config), Data.of(store, config)
    saved = checkpoint.load(state_file) if state_file else None
    return loop.fit(config, data, device, "", state_file=state_file, saved=saved, after_epoch=after_epoch)


def test_stops_before_and_after_the_thaw_change_nothing(config, folder, synthetic_store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop.tracking, "log_epochs", lambda *_, **__: None)
    config = config.replace(init=str(folder), freeze="backbone", freeze_epochs=1, ema=0.9, keep="last")
    progress, weights = fitted(config, synthetic_store)
    for stop_after in (1, 2):
        with pytest.raises(StoppedError):
            fitted(config, synthetic_store, state_file=tmp_path / "state.npz", stop_after=stop_after)
    resumed, others = fitted(config, synthetic_store, state_file=tmp_path / "state.npz")
    for name in ("train/batch_loss", "dev/loss"):
        assert [e[name] for e in resumed.history] == pytest.approx([e[name] for e in progress.history], abs=1e-6)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_frozen_backbone_keeps_its_weights_and_statistics_until_the_thaw(config, folder, synthetic_store):
    config = config.replace(init=str(folder), freeze="backbone", freeze_epochs=1)
    devices.prepare(config)
    model = gradient_descent.build(config, 4)
    run_epoch = gradient_descent.epoch_runner(model, Data.of(synthetic_store, config), config)

    def moved(number):
        before = {w.path: w.numpy() for w in model.weights}
        run_epoch(number)
        return {path.split("/")[0] for w in model.weights if not np.array_equal(before[path := w.path], w.numpy())}

    assert moved(0) == {"dense", "logit"}
    assert {name.rstrip("_0123456789") for name in moved(1)} == {"conv1d", "batch_normalization", "dense", "logit"}
    assert model.optimizer.iterations == Data.of(synthetic_store, config).steps(), "the moments start with the thaw"


def test_several_compiled_steps_a_call_train_the_same_model(config, synthetic_store, capfd, monkeypatch):
    # Other tests of this process have made TensorFlow deterministic, and Keras then leaves XLA out.
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: True)
    losses = {}
    for xla in ("off", "on"):
        own = config.replace(xla=xla, batch_size=20, dropout=0.0)
        devices.prepare(own)
        data = Data.of(synthetic_store, own)
        model = gradient_descent.build(own, data.steps())
        assert model.jit_compile == (xla == "on")
        losses[xla] = gradient_descent.epoch_runner(model, data, own)(0)
        assert model.optimizer.iterations == data.steps()
        assert f"{data.steps()}/{data.steps()}" in capfd.readouterr().err
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-3)


def test_progress_counts_steps_taken_at_once_and_fetches_no_loss(capfd):
    bar = gradient_descent.StepProgress(5, "epoch")
    bar.on_train_begin()
    for first in (0, 4):
        bar.on_train_batch_begin(first)
    assert "5/5" not in capfd.readouterr().err
    bar.on_train_end()
    assert "epoch: 5/5 steps" in capfd.readouterr().err
    # Keras converts the loss of a step for any callback at its end, and waits for the device.
    assert type(bar).on_train_batch_end is keras.callbacks.Callback.on_train_batch_end


def test_no_shape_of_a_step_depends_on_draws_or_labels(config):
    """Such a shape would keep XLA from taking the whole step, with every augmentation and the pseudo-spoofs."""
    config = config.replace(augment_strength=0.5, augment_reverb=0.5, pseudo_spoofs=0.5)
    devices.prepare(config)
    model = gradient_descent.build(config, 4)
    step = tf.function(lambda *batch: model.train_step(batch), jit_compile=True)
    batch = tf.zeros((20, config.window.clip_samples)), tf.constant(np.arange(20)[:, None] % 2, tf.float32)
    program = step.experimental_get_compiler_ir(*batch)(stage="hlo")
    assert "fft(" in program
    assert "<=" not in program.replace("compare", ""), "a bounded dynamic shape"


def test_the_average_follows_its_formula_and_is_what_the_model_holds_between_epochs():
    counting = keras.layers.Normalization(mean=0.0, variance=1.0)
    counting.count = counting.add_weight(shape=(), dtype="int32", trainable=False)  # a weight without an average
    layers = [counting, keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    model.compile(keras.optimizers.SGD(0.25), lambda y, p: p, jit_compile=False)  # the weight falls by 0.25 a step
    average = WeightAverage(model, decay=0.5)
    weight, expected = 1.0, 1.0
    for begin in (0, 3):  # resumes from the weight itself
        model.fit(np.ones((3, 1)), np.ones((3, 1)), batch_size=1, callbacks=[average], verbose=0)
        for step in range(begin + 1, begin + 4):
            weight -= 0.25
            decay = min(0.5, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * weight
        assert layers[1].get_weights()[0].item() == pytest.approx(expected, abs=1e-6)
        assert average.variables[0].numpy().item() == pytest.approx(weight, abs=1e-6)


def test_a_parent_of_another_kind_is_refused_by_its_first_difference(config, folder, capsys):
    def start(**options):
        changed = config.replace(init=str(folder), **options)
        parent.build(changed)
        return capsys.readouterr().out

    assert start() == "starting from the weights of parent-1\n"
    assert "dense and logit of the head start anew" in start(dense_units=5)
    with pytest.raises(ConfigError, match="--backbone is vgg here and small there"):
        start(backbone="vgg")
    with pytest.raises(ConfigError, match="--n_mels is 40 here and 32 there"):
        start(n_mels=40)


def test_options_of_the_start_that_contradict_are_refused(config, folder):
    for options, problem in (
        ({"freeze": "backbone"}, "--freeze backbone: without --init MODEL or --weights"),
        ({"backbone": "gmm", "init": str(folder)}, "gmm is fitted anew"),
    ):
        with pytest.raises(ConfigError, match=problem):
            parent.find(config.replace(**options))
    with pytest.raises(ConfigError, match="--ema 1: expected a decay"):
        gradient_descent.build(config.replace(ema=1.0), 1)
    (folder / "model.keras").unlink()
    with pytest.raises(ModelFolderError, match=r"model\.keras, which --init starts from, is missing"):
        parent.find(config.replace(init=str(folder)))
