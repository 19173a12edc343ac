"""Exports: each file against its Keras model, and the table of measurements."""

import dataclasses
import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import export, metrics
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.export import Exported
from pipeline.network import formats
from pipeline.scoring import runtimes
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder

CLIPS = 24


def refuses(model, path: Path) -> None:
    raise ValueError("this network has a layer\nthat the format lacks")


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory, empty_tracking_store, write_model_folder, synthetic_store
) -> tuple[Path, ModelFolder, dict[str, float], dict]:
    """Folder of an export of the tiny network, its model folder, and metrics and table of its MLflow run."""
    place = tmp_path_factory.mktemp("export")
    shutil.copy(empty_tracking_store, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOOF_ARTIFACTS", str(place / "artifacts"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
        patch.setitem(formats.WRITERS, "stubborn", (".tflite", refuses))
        patch.chdir(place)
        model = write_model_folder(place / "model")
        folder = export.run(model, synthetic_store, clips=CLIPS)
        (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
        table = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/exports.json")
    return folder, model, run.data.metrics, table


@pytest.fixture(scope="module")
def rows(exported) -> dict[str, dict]:
    return {row["format"]: row for row in pd.read_csv(exported[0] / export.INDEX).to_dict("records")}


# Tolerances of the tiny network's logits, which lie within a few units of 0.
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("litert-float32", 1e-3), ("onnx", 1e-3), ("litert-float16", 0.02), ("litert-int8", 0.3)],
)
def test_each_file_gives_the_logits_of_keras(exported, rows, tiny_model, name, tolerance):
    windows = np.random.default_rng(0).normal(0, 0.1, (37, 8000)).astype(np.float32)
    run = runtimes.of(exported[0] / rows[name]["file"], threads=1)
    expected = tiny_model[0].predict(windows, verbose=0)[:, 0]
    np.testing.assert_allclose(run(windows), expected, atol=tolerance)
    np.testing.assert_allclose(run(windows[:1]), expected[:1], atol=tolerance)


def test_the_table_holds_what_was_measured(exported, rows, synthetic_store):
    folder, model, _, _ = exported
    assert set(rows) == {"keras", *formats.WRITERS, "stubborn"}
    chosen = np.sort(np.random.default_rng(0).permutation(synthetic_store.subset("eval"))[:CLIPS])
    labels = (synthetic_store.manifest["label"].iloc[chosen] == "bonafide").to_numpy()
    waves = [synthetic_store.waveform(row) for row in chosen]
    scores = {
        name: model.calibration.apply(
            np.array([*Detector(model, network=runtimes.of(folder / rows[name]["file"], 1)).utterance_logits(waves)])
        )
        for name in formats.WRITERS
    }
    for name, row in rows.items():
        if name in scores:
            assert row["eer"] == pytest.approx(metrics.eer(scores[name], labels))
            assert row["eer_change"] == pytest.approx(row["eer"] - rows["keras"]["eer"])
            assert row["size_mb"] == pytest.approx((folder / row["file"]).stat().st_size / 1e6)
            assert 0 < row["p50_ms_1_thread"] <= row["p95_ms_1_thread"]
            assert 0 < row["p50_ms_2_threads"] <= row["p95_ms_2_threads"]
    for name in ("litert-float16", "litert-int8", "onnx"):
        difference = np.abs(scores[name] - scores["litert-float32"]).max()
        assert rows[name]["largest_score_difference"] == pytest.approx(difference, abs=2e-3)
    assert sum(row["chosen"] for row in rows.values()) == 1
    assert not rows["keras"]["chosen"]


def test_a_failed_format_has_its_reason_as_a_note(exported, rows):
    note = "cannot be exported: ValueError: this network has a layer that the format lacks"
    assert rows["stubborn"]["note"] == note
    assert pd.isna(rows["stubborn"]["eer"])
    assert not (exported[0] / "stubborn.tflite").exists()
    assert note in (exported[0] / "exports.txt").read_text()


def test_the_run_holds_table_and_metrics(exported, rows):
    _, _, logged, table = exported
    assert table["columns"] == [field.name for field in dataclasses.fields(Exported)]
    assert [line[0] for line in table["data"]] == list(rows)
    assert logged["export/onnx/eer"] == pytest.approx(rows["onnx"]["eer"])
    assert logged["export/litert-int8/size_mb"] == pytest.approx(rows["litert-int8"]["size_mb"])
    assert json.dumps(table)


def test_the_fastest_without_a_note_is_chosen():
    found = [
        Exported("keras", eer=0.1),
        Exported("slow", p50_ms_1_thread=3.0),
        Exported("quick", p50_ms_1_thread=2.0),
        Exported("marked", p50_ms_1_thread=1.0, note="changes the EER"),
        Exported("none", note="cannot be exported"),
    ]
    assert [one.format for one in export.choose(found) if one.chosen] == ["quick"]
    assert not any(one.chosen for one in export.choose(found[:1]))


def test_the_fastest_litert_file_can_be_what_scores(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(tmp_path))
    folder, model, _, _ = exported
    found = [
        Exported("litert-float32", "litert-float32.tflite", p50_ms_1_thread=3.0),
        Exported("litert-int8", "litert-int8.tflite", p50_ms_1_thread=2.0),
        Exported("onnx", "onnx.onnx", p50_ms_1_thread=1.0),
    ]
    carried = export.carry(model, found, folder)
    assert carried.folder == tmp_path / "models" / "tiny-1-int8"
    assert carried.model_version == "tiny-1-int8"
    assert carried.litert.read_bytes() == (folder / "litert-int8.tflite").read_bytes()
    assert (carried.calibration, carried.dev_eer) == (model.calibration, model.dev_eer)
    assert export.carry(model, [found[0], found[2]], folder) is model, "no other program's file, and no copy of itself"


def test_only_dev_may_choose_what_scores():
    with pytest.raises(ConfigError, match="--apply true --subset eval: only dev may choose"):
        export.main(["--apply", "true"])


def test_the_int8_file_quantises_the_network_and_not_its_front_end(exported, rows):
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(str(exported[0] / rows["litert-int8"]["file"]))
    made.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in made.get_tensor_details()}
    weights = {
        tensors[operation["outputs"][0]]["name"]: tensors[operation["inputs"][1]]["dtype"]
        for operation in made._get_ops_details()
        if operation["op_name"] in ("CONV_2D", "FULLY_CONNECTED")
    }
    front_end = {name for name in weights if "mel_bands" in name or "power_spectrogram" in name}
    assert front_end
    assert {weights[name] for name in front_end} == {np.float32}
    assert np.int8 in {weights[name] for name in set(weights) - front_end}


def test_more_than_half_a_point_of_eer_is_marked():
    assert export.note_on(0.0049) == export.note_on(-0.0049) == export.note_on(None) == ""
    assert export.note_on(0.0051) == export.note_on(-0.0051) == "changes the EER by over 0.5 points"


def test_a_spectrum_by_matrix_is_the_spectrum_by_transform():
    from pipeline.network.spectra import PowerSpectrogram

    wave = np.random.default_rng(0).normal(0, 0.1, (2, 4000)).astype(np.float32)
    settings = {"n_fft": 400, "hop_samples": 160}
    expected = PowerSpectrogram(**settings)(wave)
    np.testing.assert_allclose(formats.MatrixSpectrogram(**settings)(wave), expected, rtol=1e-3, atol=1e-4)


def test_no_keras_model_and_no_clips_are_errors(make_model_folder, synthetic_store):
    model = make_model_folder()
    with pytest.raises(ConfigError, match=r"--subset test: .* has no clips there"):
        export.run(model, synthetic_store, subset="test")
    (model.folder / "model.keras").unlink()
    with pytest.raises(ModelFolderError, match=r"no model\.keras, which exports are made from"):
        export.run(model, synthetic_store)
