"""Folders of encoders: types and files of weights, and an error that names what is wrong."""

import json
import re
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pipeline.config import EncoderConfig
from pipeline.errors import ConfigError, EncoderError
from pipeline.network.encoders.folder import EncoderFolder
from pipeline.network.encoders.position_bias import bucket_of
from pipeline.network.encoders.wav2vec2 import Wav2Vec2Encoder
from pipeline.network.encoders.whisper import WhisperEncoder
from tests.support.encoders import REFERENCES, reference, states_model


@pytest.fixture
def folder(tmp_path) -> Path:
    """Copy of the tiny Whisper, to be damaged."""
    return Path(shutil.copytree(REFERENCES / "whisper", tmp_path / "whisper"))


@pytest.fixture(scope="module")
def built() -> dict[str, tuple]:
    """Layer of each family, built, and its tensors."""
    layers = {}
    for name, kind in (("whisper", WhisperEncoder), ("hubert", Wav2Vec2Encoder)):
        read = EncoderFolder.read(REFERENCES / name)
        layer = kind(settings=read.settings, layers=2)
        layer.build((None, 8000))
        layers[name] = layer, dict(read.tensors())
    return layers


def change(folder: Path, **values: object) -> None:
    """Change values of config.json; None removes one."""
    config = json.loads((folder / "config.json").read_text()) | values
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_half_precision_is_read_as_float32(folder, dtype):
    whole = load_file(folder / "model.safetensors")
    save_file({name: tensor.astype(dtype) for name, tensor in whole.items()}, folder / "model.safetensors")
    tensors = EncoderFolder.read(folder).tensors()
    assert set(tensors) == set(whole)
    for name, tensor in tensors.items():
        assert tensor.dtype == "float32"
        np.testing.assert_allclose(tensor, whole[name], rtol=2**-8)


def test_shards_are_read_as_one_file(folder):
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    places = {name: file for file, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (folder / "model.safetensors").unlink()
    waveform, expected = reference("whisper")
    np.testing.assert_allclose(np.array(states_model("whisper", folder)(waveform)), expected, atol=1e-4)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"model-00002-of-00002\.safetensors, which .* lists, is not there"):
        EncoderFolder.read(folder)


def test_digest_is_of_the_contents(folder, tmp_path):
    digest = EncoderFolder.read(folder).digest
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert EncoderFolder.read(folder.rename(tmp_path / "elsewhere")).digest == digest
    change(tmp_path / "elsewhere", encoder_attention_heads=2)
    assert EncoderFolder.read(tmp_path / "elsewhere").digest != digest


def test_both_names_of_the_weight_normalisation_are_read(built):
    layer, tensors = built["hubert"]
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    layer.load(tensors)
    kernel = np.array(layer.position.kernel)
    layer.position.kernel.assign(np.zeros_like(kernel))
    layer.load({f"hubert.{name}": tensor for name, tensor in old.items()} | {"lm_head.weight": kernel})
    np.testing.assert_array_equal(layer.position.kernel, kernel)


def test_input_is_normalised_as_the_preprocessor_says(tmp_path):
    folder = Path(shutil.copytree(REFERENCES / "xls-r", tmp_path / "xls-r"))
    assert EncoderFolder.read(folder).settings["normalised"]
    (folder / "preprocessor_config.json").write_text('{"do_normalize": false}')
    assert not EncoderFolder.read(folder).settings["normalised"]
    (folder / "preprocessor_config.json").unlink()
    assert EncoderFolder.read(folder).settings["normalised"]
    change(folder, feat_extract_norm="group")
    assert not EncoderFolder.read(folder).settings["normalised"]


@pytest.mark.parametrize("name", ["whisper", "hubert"])
def test_tensors_that_do_not_fit_are_named(built, name):
    layer, tensors = built[name]
    layer.load(tensors)
    missing = next(key for key in tensors if key.endswith("layers.1.final_layer_norm.bias") and "decoder" not in key)
    part = missing.removeprefix("encoder.") if name == "whisper" else missing
    with pytest.raises(EncoderError, match=f"tensor {re.escape(part)} is missing"):
        layer.load({key: tensor for key, tensor in tensors.items() if key != missing})
    with pytest.raises(EncoderError, match=f"tensor {re.escape(part)} has the shape"):
        layer.load(tensors | {missing: np.zeros(7, "float32")})
    extra = missing.replace("layers.1", "layers.3")  # the configuration has three
    with pytest.raises(EncoderError, match=r"layers\.3\.final_layer_norm\.bias is unknown"):
        layer.load(tensors | {extra: tensors[missing]})
    with pytest.raises(EncoderError, match=r"tensor odd\.weight is unknown"):
        layer.load(tensors | {"odd.weight": tensors[missing]})


def test_error_of_the_weights_names_the_folder(folder):
    change(folder, encoder_ffn_dim=40)
    with pytest.raises(EncoderError, match=rf"{folder}: tensor layers\.0\.fc1\.weight has the shape \[48, 32\]"):
        states_model("whisper", folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'"),
        ({"d_model": None}, "d_model is None"),
        ({"encoder_layers": "3"}, "encoder_layers is '3'"),
        ({"activation_function": "relu"}, "activation_function is 'relu': only 'gelu'"),
        ({"encoder_attention_heads": 5}, "5 attention heads cannot share 32 channels"),
        ({"model_type": "hubert", "conv_dim": 3}, "conv_dim is 3"),
        ({"model_type": "hubert", "conv_dim": [3]}, "have 1, 7 and 7 numbers"),
        ({"model_type": "hubert", "feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'"),
        ({"model_type": "hubert", "layer_norm_eps": 0}, "layer_norm_eps is 0"),
    ],
)
def test_configuration_that_cannot_be_used_is_named(folder, values, message):
    change(folder, **values)
    with pytest.raises(EncoderError, match=rf"config\.json: .*{re.escape(message)}"):
        EncoderFolder.read(folder)


def test_files_that_cannot_be_used_are_named(folder, tmp_path):
    with pytest.raises(EncoderError, match="no such folder"):
        EncoderFolder.read(tmp_path / "none")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(EncoderError, match=r"model\.safetensors: it is not whole"):
        EncoderFolder.read(folder).tensors()
    save_file({"encoder.conv1.bias": np.zeros(4, "int8")}, weights)
    with pytest.raises(EncoderError, match=r"encoder\.conv1\.bias is int8"):
        EncoderFolder.read(folder).tensors()["encoder.conv1.bias"]
    weights.unlink()
    with pytest.raises(EncoderError, match=r"neither model\.safetensors nor"):
        EncoderFolder.read(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(EncoderError, match=r"pytorch_model\.bin may be a pickle.*save_pretrained"):
        EncoderFolder.read(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=r"config\.json: it is not JSON"):
        EncoderFolder.read(folder)
    (folder / "config.json").unlink()
    with pytest.raises(EncoderError, match=r"config\.json: not there"):
        EncoderFolder.read(folder)


def test_options_that_do_not_fit_the_folder_are_named():
    with pytest.raises(ConfigError, match=r"--encoder_layers 4: the encoder of .* has 3"):
        states_model("whisper", encoder_layers=4)
    with pytest.raises(ConfigError, match=r"windows up to 0\.5 s, got 1 s: lower --clip_s"):
        states_model("whisper", samples=16000)
    with pytest.raises(ConfigError, match="399 samples are too few"):
        states_model("hubert", samples=399)


def test_backbone_of_another_family_is_refused():
    import keras

    from pipeline.network.backbones import wav2vec2

    with pytest.raises(ConfigError, match="holds an encoder for --backbone whisper"):
        wav2vec2.states(keras.Input((8000,)), EncoderConfig(encoder=str(REFERENCES / "whisper")))
    with pytest.raises(
        ConfigError, match=r"whisper holds an encoder for --backbone whisper; name the folder of another"
    ):
        wav2vec2.states(keras.Input((8000,)), EncoderConfig())


def test_buckets_are_exact_near_and_shared_far():
    distance = np.array([-1000, -800, -81, -80, -79, -1, 0, 1, 79, 80, 1000])
    assert bucket_of(distance, 320, 800).tolist() == [159, 159, 80, 80, 79, 1, 0, 161, 239, 240, 319]
