"""Files that are not what was written: every flipped bit and every lost end is an error, and never another answer."""

import json
import shutil

import numpy as np
import pytest

from pipeline import evaluate
from pipeline.common import files
from pipeline.config import preset
from pipeline.errors import ModelFolderError, ProjectError, StoreError
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import store
from pipeline.store.store import Store
from pipeline.training.data import Data
from tests.support.damage import flip

FLIPS = 12


@pytest.fixture
def copied(synthetic_store, tmp_path) -> Store:
    """The synthetic Store, to be damaged."""
    return Store.open(shutil.copytree(synthetic_store.folder, tmp_path / "copy"))


def test_a_flipped_bit_of_a_shard_is_found_before_training_and_while_it_is_read(copied):
    rng = np.random.default_rng(7)
    for number in rng.permutation(len(copied.shards))[:4]:
        shard = copied.folder / copied.shards[number]["file"]
        sound = shard.read_bytes()
        flip(shard, int(rng.integers(8 * len(sound))))
        (row, *_) = np.flatnonzero(copied.manifest["shard"] == number)
        wanted = rf"{shard.name}: its checksum is not the one in store\.json.*run preprocess again"
        with pytest.raises(StoreError, match=wanted):
            Store.open(copied.folder).samples(int(row))
        with pytest.raises(StoreError, match=wanted):
            Data.of(Store.open(copied.folder), preset("smoke"))
        shard.write_bytes(sound)
    Store.open(copied.folder).verify()


@pytest.mark.usefixtures("tracking_store")
def test_evaluation_of_damaged_audio_gives_no_figures(copied, make_model_folder, tmp_path):
    number = int(copied.manifest["shard"].iat[copied.subset("eval")[3]])
    shard = copied.folder / copied.shards[number]["file"]
    flip(shard, 8 * (shard.stat().st_size // 2))
    with pytest.raises(StoreError, match="its checksum is not the one"):
        evaluate.run(make_model_folder().folder, copied.folder, output=tmp_path / "out", saliency=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [store.INDEX, store.MANIFEST])
def test_a_flipped_bit_beside_the_audio_is_found(copied, name):
    rng, path = np.random.default_rng(8), copied.folder / name
    sound = path.read_bytes()
    for bit in rng.integers(8 * len(sound), size=FLIPS):
        flip(path, int(bit))
        with pytest.raises(StoreError, match="run preprocess again"):
            Store.open(copied.folder)
        path.write_bytes(sound)
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(StoreError, match="run preprocess again"):
        Store.open(copied.folder)
    path.write_bytes(sound)
    Store.open(copied.folder)


def test_a_shard_that_is_gone_is_named(copied):
    (copied.folder / copied.shards[0]["file"]).unlink()
    with pytest.raises(StoreError, match=r"part-00000\.arrow: missing"):
        copied.samples(0)


def test_every_flipped_bit_and_lost_end_of_a_model_folder_is_an_error(make_model_folder, tmp_path):
    import pandas as pd

    dev = pd.DataFrame({"utterance_id": ["a"], "label": ["spoof"], "speaker": ["s"], "score": [0.5]})
    folder = make_model_folder(dev=dev).folder
    rng = np.random.default_rng(9)
    for path in sorted(folder.iterdir()):
        sound = path.read_bytes()
        for bit in [*rng.integers(8 * len(sound), size=FLIPS), None]:
            path.write_bytes(sound[: len(sound) * 2 // 3]) if bit is None else flip(path, int(bit))
            with pytest.raises(ModelFolderError, match=path.name):
                assert ModelFolder.load(folder).keras is not None
            path.write_bytes(sound)
    assert ModelFolder.load(folder).keras == folder / "model.keras"


def test_a_changed_threshold_is_a_checksum_error_and_no_other_answer(make_model_folder):
    index = make_model_folder().folder / model_folders.INDEX
    text = index.read_text()
    index.write_text(text.replace('"slope": 2.0', '"slope": 3.0'))
    assert index.read_text() != text
    with pytest.raises(
        ModelFolderError, match=r"bundle\.json: cannot be read: its checksum is not that of its contents"
    ):
        ModelFolder.load(index.parent)
    values = json.loads(text)
    del values[files.SEAL]
    index.write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match="its checksum is missing"):
        ModelFolder.load(index.parent)


def test_a_network_that_is_none_is_refused_by_name(make_model_folder):
    folder = make_model_folder().folder
    (folder / model_folders.LITERT).write_bytes(b"TFL3 but no network")
    index = files.read_sealed(folder / model_folders.INDEX)
    index["sha256"][model_folders.LITERT] = files.sha256(folder / model_folders.LITERT)
    files.write_sealed(folder / model_folders.INDEX, index)
    with pytest.raises(ProjectError, match=r"model\.tflite"):
        Detector(ModelFolder.load(folder))
