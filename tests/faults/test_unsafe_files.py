"""Nothing that is read from a file runs as code: each way in is handed files that would.

Whoever made them made their checksums too, so these keep nobody out.
"""

import ast
import pickle
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from pipeline import audio, cli, corpora, evaluate, export, register, score, stream, tracking
from pipeline.common import files
from pipeline.config import PROJECT_ROOT, REGISTERED_MODEL, CorpusConfig, preset
from pipeline.errors import ConfigError, ModelFolderError, ProjectError
from pipeline.network import networks
from pipeline.scoring import dev_table, inputs, model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store import store
from pipeline.store.store import Store
from pipeline.training import checkpoint
from pipeline.training.data import Data
from tests.support import traps

FORBIDDEN = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE = {"unsafe_load", "full_load", "enable_unsafe_deserialization", "eval", "exec"}


@pytest.fixture
def sprung(tmp_path):
    """What a trap makes when its code runs; at the end it must not be there."""
    place = tmp_path / "sprung"
    yield place
    assert not place.exists(), "code of a file was run"


def reseal(folder: Path, name: str) -> None:
    """Give a changed file of a model folder its checksum, as whoever changed it would."""
    index = files.read_sealed(folder / model_folders.INDEX)
    index["sha256"][name] = files.sha256(folder / name)
    files.write_sealed(folder / model_folders.INDEX, index)


RESTRICTED = {PROJECT_ROOT / "pipeline" / "corpora" / name for name in ("partialspoof.py", "voices/torch_file.py")}
"""Readers of pickles that call only the functions they know; their tests give them hostile ones."""


def test_the_traps_are_traps(tmp_path):
    place = tmp_path / "sprung"
    pickle.loads(traps.pickled(place))
    assert place.is_dir()
    place.rmdir()
    traps.arrays(tmp_path / "a.npz", place)
    assert np.load(tmp_path / "a.npz", allow_pickle=True)["progress"].shape == (1,)
    assert place.is_dir()


def test_the_code_unpickles_nothing_and_evaluates_no_text():
    files = {*(PROJECT_ROOT / "pipeline").rglob("*.py"), *(PROJECT_ROOT / "tuning").rglob("*.py")}
    assert files >= RESTRICTED
    for path in files - RESTRICTED:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & FORBIDDEN, f"{path}:{node.lineno}"
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
                of = getattr(getattr(node.func, "value", None), "id", "")
                assert not (name in UNSAFE and of in ("", "yaml", "keras", "config")), f"{path}:{node.lineno}"
                assert (of, name) not in {("yaml", "load"), ("pd", "read_pickle")}, f"{path}:{node.lineno}"
                given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                assert given.get("allow_pickle") is not True, f"{path}:{node.lineno}"
                assert given.get("safe_mode") is not False, f"{path}:{node.lineno}"


def test_the_state_of_a_training(sprung, tmp_path):
    traps.arrays(tmp_path / "state.npz", sprung)
    with pytest.raises(ProjectError, match="the state of this training is damaged"):
        checkpoint.load(tmp_path / "state.npz")
    (tmp_path / "state.npz").write_bytes(traps.pickled(sprung))
    with pytest.raises(ProjectError, match="the state of this training is damaged"):
        checkpoint.load(tmp_path / "state.npz")


def test_options_in_yaml(sprung, tmp_path):
    (tmp_path / "options.yaml").write_text(traps.yaml(sprung))
    with pytest.raises((ConfigError, SystemExit)):
        cli.parse("", sections=("train",), argv=["--config", str(tmp_path / "options.yaml")])


def test_a_store_with_pickles_for_types(sprung, synthetic_store, tmp_path):
    folder = shutil.copytree(synthetic_store.folder, tmp_path / "store")
    table = pa.Table.from_pandas(synthetic_store.manifest)
    trapped = pa.schema([traps.extension(field, sprung) for field in table.schema], table.schema.metadata)
    parquet.write_table(table.cast(trapped), folder / store.MANIFEST)
    index = files.read_sealed(folder / store.INDEX)
    index["manifest_sha256"] = files.sha256(folder / store.MANIFEST)
    for shard in index["shards"]:
        path = folder / shard["file"]
        written = pa.ipc.open_file(path.read_bytes())
        schema = pa.schema([traps.extension(store.SCHEMA.field(0), sprung)])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for number in range(written.num_record_batches):
                writer.write_batch(pa.record_batch(written.get_batch(number).columns, schema=schema))
        shard["sha256"] = files.sha256(path)
    files.write_sealed(folder / store.INDEX, index)
    opened = Store.open(folder)
    Data.of(opened, preset("smoke"))
    assert np.array_equal(opened.samples(3), synthetic_store.samples(3))


def test_tables_with_pickles_for_types(sprung, tmp_path):
    (tmp_path / "a.wav").touch()
    table = pa.table({"path": ["a.wav"], "label": ["spoof"]})
    trapped = pa.schema([traps.extension(field, sprung) for field in table.schema])
    parquet.write_table(table.cast(trapped), tmp_path / "list.parquet")
    assert len(corpora.read(CorpusConfig(corpus="table", data_dir=str(tmp_path / "list.parquet")))[0]) == 1
    assert len(inputs.find([str(tmp_path / "list.parquet")])) == 1


@pytest.mark.parametrize("kind", ["calling", "lambda", "weights", "pickle"])
def test_keras_files(kind, sprung, tmp_path, make_model_folder, synthetic_store):
    folder = make_model_folder().folder
    path = folder / model_folders.KERAS
    make = {
        "calling": lambda: traps.keras_calling(path, sprung),
        "lambda": lambda: traps.keras_lambda(path, sprung),
        "weights": lambda: traps.keras_weights(path, shutil.copy(path, tmp_path / "sound.keras"), sprung),
        "pickle": lambda: path.write_bytes(traps.pickled(sprung)),
    }
    make[kind]()
    reseal(folder, model_folders.KERAS)
    with pytest.raises(ModelFolderError, match=r"model\.keras: Keras does not load it"):
        networks.load(path)
    if kind != "lambda":
        return  # what follows loads it by the same function
    with pytest.raises(ModelFolderError, match=r"model\.keras: Keras does not load it"):
        export.main(["--model", str(folder), "--store", str(synthetic_store.folder)])
    with pytest.raises(ModelFolderError, match=r"model\.keras: Keras does not load it"):
        evaluate.run(folder, synthetic_store.folder, ["dev"])


@pytest.fixture
def trapped_version(tracking_store, make_model_folder, sprung, tmp_path) -> str:
    """A registered version that is a trap for whoever loads it as MLflow does, and holds a sound model folder."""
    traps.registered(tmp_path / "trap", sprung)
    shutil.copytree(make_model_folder().folder, tmp_path / "trap" / "artifacts" / "bundle")
    with tracking.run("trap", stage="train") as run:
        mlflow.log_artifacts(str(tmp_path / "trap"), "detector")
    client = mlflow.MlflowClient()
    client.create_registered_model(REGISTERED_MODEL)
    version = client.create_model_version(REGISTERED_MODEL, f"{run.info.artifact_uri}/detector", run.info.run_id)
    client.set_registered_model_alias(REGISTERED_MODEL, register.CHAMPION, version.version)
    return f"models:/{REGISTERED_MODEL}@{register.CHAMPION}"


def test_a_registered_version(trapped_version, voice, tmp_path, make_model_folder):
    """Only its model folder is read; loading it as MLflow does is for ``mlflow models serve``, and runs its code."""
    from pipeline import analyse

    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice), 16000)
    recording = str(tmp_path / "a.wav")
    assert score.main([recording, "--model", trapped_version]) == 0
    assert stream.main(["--input", recording, "--model", trapped_version, "--pace", "fast"]) == 0
    assert analyse.main([recording, "--model", trapped_version, "--output", str(tmp_path / "found")]) == 0
    rival = make_model_folder("rival", dev=pd.DataFrame(columns=list(dev_table.COLUMNS)))
    assert not register.register(rival.folder).promoted
    assert ModelFolder.load(model_folders.find(trapped_version)).model_version == "tiny-1"
