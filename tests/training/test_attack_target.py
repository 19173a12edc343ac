"""Training that learns attacks too: its loss, its targets, and the model folder and evaluation that come of it."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from pipeline import train
from pipeline.errors import ConfigError
from pipeline.evaluation import figures, subsets
from pipeline.metrics import attribution
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.source_tracing import UNKNOWN
from pipeline.store import manifest
from pipeline.training import frozen_encoder, gradient_descent
from pipeline.training.data import Data
from tests.training.test_frozen_encoder import ENCODERS

pytestmark = pytest.mark.usefixtures("tracking_store")
LEFT_OUT = "E00-P02-R00"


@pytest.fixture
def config(smoke):
    return smoke.replace(target="attack", leave_out=LEFT_OUT)


def test_the_loss_is_that_of_the_attack_for_spoofs_that_have_one():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 3)).astype(np.float32)
    targets = np.array([[1.0], [0.0], [-1.0], [-2.0]], np.float32)
    detection = np.log1p(np.exp(outputs[:, 0] * np.array([-1, 1, 1, 1])))
    attacks = -log_softmax(outputs[:, 1:], axis=1)
    expected = detection + np.array([0, 0, attacks[2, 0], attacks[3, 1]])
    assert np.asarray(gradient_descent.loss(targets, outputs)) == pytest.approx(expected, abs=1e-5)


def test_targets_name_the_attacks_of_train(synthetic_store, config):
    data = Data.of(synthetic_store, config.replace(pseudo_spoofs=0.0))
    attack = synthetic_store.manifest["attack"].to_numpy()
    assert data.attacks == ("E00-P01-R00", "E01-P03-R01")
    for name, target in (("-", 1), ("E00-P01-R00", -1), ("E01-P03-R01", -2), (LEFT_OUT, 0)):
        assert set(data.targets[attack == name]) == {target}, name
    row = int(data.train[data.targets[data.train] == -2][0])
    partly = dataclasses.replace(data, spoofed={row: ((0.0, 0.3),)}).plan(0, config.replace(clip_s=0.3))
    drawn = partly.labels(data.targets)
    assert set(drawn[partly.rows == row]) <= {1, -2}
    others = partly.rows != row
    assert np.array_equal(drawn[others], data.targets[partly.rows[others]])


def test_readable_names_are_the_classes_and_replays_are_one():
    table = pd.DataFrame(
        {
            "attack": ["-", "A07", "E01-P1-R1", "E01-P2-R1", "", "demo/E00-P01-R00", "E01-P05-R10"],
            "attack_name": ["", "", "replay loudspeaker 1 in room 1", "replay, phone in a room", "", "espeak-ng", ""],
        }
    )
    expected = ["", "A07", "replay", "replay", "", "espeak-ng", "E01-P05-R10"]
    assert manifest.generators(table).tolist() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pseudo_spoofs": 0.3}, "give --pseudo_spoofs 0"),
        ({"leave_out": "E00-*"}, "has the attacks E01-P03-R01 in train; two or more are needed"),
    ],
)
def test_what_cannot_be_learnt_is_refused(synthetic_store, config, changes, message):
    with pytest.raises(ConfigError, match=message):
        Data.of(synthetic_store, config.replace(**changes))


def test_the_head_of_an_encoder_has_the_attacks_too(config):
    encoder = {"backbone": "whisper", "encoder": str(ENCODERS / "whisper"), "encoder_layers": 1}
    model = frozen_encoder.build(config.replace(**encoder), 1, attacks=2)
    waves = np.zeros((2, config.window.clip_samples), np.float32)
    own, weights = frozen_encoder.networks.detector(model)
    assert [w.shape for w in weights] == [(config.model.dense_units, 2), (2,)]
    assert model.predict(waves, verbose=0)[:, :1] == pytest.approx(own.predict(waves, verbose=0), abs=1e-5)


def test_the_model_folder_is_a_detector_that_traces(synthetic_store, config):
    small = {"backbone": "lcnn", "dense_units": 8, "batch_size": 40, "epochs": 2}
    folder = train.train(config.replace(**small, pseudo_spoofs=0.3), synthetic_store.folder)
    model = ModelFolder.load(folder)
    assert model.config.train.pseudo_spoofs == 0
    assert model.attacks.names == ("E00-P01-R00", "E01-P03-R01")
    batch = np.resize(synthetic_store.waveform(0), model.clip_samples)[None]
    logits, embeddings = Detector(model).outputs(batch)
    network = keras.saving.load_model(model.keras, compile=False)
    dense = network.get_layer("dense").output
    both = keras.Model(network.input, [network.output, dense]).predict(batch, verbose=0)
    assert both[0][:, 0] == pytest.approx(logits, abs=1e-3)
    assert both[1] == pytest.approx(embeddings, abs=1e-3)

    found = subsets.evaluate(model, synthetic_store, "eval")
    spoofs = found.trials.query("label == 'spoof'")
    assert set(found.trials["made_by"]) == {"", "E00-P01-R00", "E01-P03-R01", UNKNOWN}
    assert (spoofs["made_by"] == UNKNOWN).equals(spoofs["attack"] == LEFT_OUT)
    replays = spoofs[spoofs["made_by"] == "E01-P03-R01"]
    assert (replays["attributed"] == replays["made_by"]).mean() > 0.5
    assert found.mlflow_metrics()["eval/attack_f1"] == attribution.macro_f1(spoofs["made_by"], spoofs["attributed"])
    assert "eval/attribution" in figures.of_subset(found, threshold=0.0)
