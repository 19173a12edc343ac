"""The project as its users run it: ``mlflow run . -e NAME`` on the synthetic corpus, one entry point after another.

``train`` runs first, alone, with nothing there; then ``main`` with another seed; then each of the others on what is
there.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
MLFLOW = Path(sys.executable).with_name("mlflow")


class Project:
    """Artifacts and a tracking store of their own, and ``mlflow run`` on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = mlflow.MlflowClient(self.uri, self.uri)

    def run(self, entry: str, *, command_line: bool = False, **parameters: object) -> str:
        """What the entry point printed; it must have succeeded.

        With ``command_line`` the command ``mlflow run`` is started, which imports MLflow for seconds and calls what is
        called here without it.
        """
        given = {name: str(value) for name, value in parameters.items()}
        with pytest.MonkeyPatch.context() as patch, self._printed() as (out, err):
            for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
                patch.delenv(name)
            patch.setenv("SPOOF_ARTIFACTS", str(self.folder / "artifacts"))
            patch.setenv("MLFLOW_TRACKING_URI", self.uri)
            patch.setenv("MLFLOW_EXPERIMENT_NAME", "project")
            patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
            patch.chdir(self.folder)
            if command_line:
                words = [word for name, value in given.items() for word in ("-P", f"{name}={value}")]
                command = [str(MLFLOW), "run", str(ROOT), "-e", entry, "--env-manager", "local", *words]
                failed = subprocess.run(command, check=False).returncode
            else:
                try:
                    failed = mlflow.projects.run(str(ROOT), entry, parameters=given, env_manager="local") is None
                except mlflow.exceptions.ExecutionException:
                    failed = True
        assert not failed, err.read_text()[-3000:]
        return out.read_text()

    @contextmanager
    def _printed(self) -> Iterator[tuple[Path, Path]]:
        """Files of what this process and those that it starts print inside the block, and of their errors."""
        paths = self.folder / "printed.txt", self.folder / "errors.txt"
        with ExitStack() as afterwards:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, path in enumerate(paths, start=1):
                afterwards.callback(os.close, kept := os.dup(number))
                afterwards.callback(os.dup2, kept, number)
                with path.open("w") as file:
                    os.dup2(file.fileno(), number)
            yield paths
            sys.stdout.flush()
            sys.stderr.flush()

    def runs(self, stage: str) -> list[mlflow.entities.Run]:
        """Runs of a stage, the newest first."""
        experiment = self.client.get_experiment_by_name("project")
        return self.client.search_runs([experiment.experiment_id], f"tags.stage = '{stage}'")

    def files(self, run_id: str, folder: str = "") -> set[str]:
        """Paths of all artifacts of a run."""
        found = set()
        for item in self.client.list_artifacts(run_id, folder or None):
            found |= self.files(run_id, item.path) if item.is_dir else {item.path}
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def trained(project) -> str:
    """What ``train`` printed; ``epochs`` is an option that MLproject does not list."""
    return project.run("train", command_line=True, preset="smoke", epochs=1)


@pytest.fixture(scope="module")
def shown(project, trained) -> str:
    """What ``main`` printed."""
    return project.run("main", preset="smoke", epochs=1, seed=1, backbone="lcnn", rivals="vgg")


@pytest.fixture(scope="module")
def model(project, trained) -> Path:
    """The model folder that ``train`` left."""
    (run,) = (run for run in project.runs("train") if run.data.tags["seed"] == "0")
    return project.folder / "artifacts" / "models" / run.data.tags["model_version"]


def test_train_alone_preprocesses_trains_and_evaluates(project, trained):
    assert "EER" in trained
    assert "report.html" in trained
    (preprocessed,), (run,) = project.runs("preprocess"), project.runs("train")
    assert preprocessed.info.run_id != run.info.run_id
    assert run.data.params["preset"] == "smoke", "the run that mlflow run opened is the one of the training"
    assert {"dev/cllr", "eval/cllr"} <= set(run.data.metrics)


def test_main_ends_with_results_and_what_to_do_next(shown):
    summary = shown.split("== summary ==")[1]
    for words in ("dev", "eval", "EER", "report.html", "figures", "make ui", "pipeline.score", "models serve"):
        assert words in summary, words


def test_main_holds_the_runs_of_its_stages(project, shown):
    (main,) = project.runs("main")
    assert project.runs("train")[0].data.tags["mlflow.parentRunId"] == main.info.run_id
    each = {f"{stage}_{name}" for stage in ("train", "evaluate", "register") for name in ("lcnn", "vgg")}
    stages = {"start", "corpus", "preprocess", "score", *each}
    metrics = main.data.metrics
    assert {"dev/eer", "eval/eer", "eval/auc"} <= set(metrics), "the headline of the champion"
    spent_s = {name.removeprefix("seconds/"): value for name, value in metrics.items() if name.startswith("seconds/")}
    assert set(spent_s) == {*stages, "total"}
    total_s = spent_s.pop("total")
    assert 0.8 * total_s < sum(spent_s.values()) <= total_s, "the stages are all that main does"
    assert re.search(rf"^total +{total_s:.1f} s 100.0%$", shown, re.MULTILINE)


def test_main_names_the_champion_of_its_networks(project, shown):
    champion = project.client.get_model_version_by_alias("spoof-detector", "champion").tags["model_version"]
    (line,) = (line for line in shown.split("== summary ==")[1].splitlines() if line.endswith("  champion"))
    assert line.startswith(champion)


def test_a_training_run_holds_everything(project, shown):
    run = project.runs("train")[0]
    data = run.data
    assert data.params["config/epochs"] == "1"
    assert {"device", "precision", "store_folder", "fingerprint", "version/keras", "version/mlflow"} <= set(data.params)
    assert {"mlflow.source.git.commit", "command", "backbone", "corpus", "split", "seed"} <= set(data.tags)
    names = ("loss", "accuracy", "precision", "recall", "f1", "auc", "eer", "eer_low", "eer_high", "min_dcf")
    for subset in ("dev", "eval"):
        assert {f"{subset}/{name}" for name in (*names, "act_dcf", "cllr")} <= set(data.metrics)
    assert "speed/clips_per_s" in data.metrics
    assert {i.dataset.name for i in run.inputs.dataset_inputs} == {f"synthetic-{s}" for s in ("train", "dev", "eval")}
    files = project.files(run.info.run_id)
    figures = {f"figures/{s}/{n}.png" for s in ("dev", "eval") for n in ("confusion", "roc", "det", "scores")}
    figures |= {"figures/training_curves.png", "figures/examples/bonafide.png", "figures/examples/spoof.png"}
    figures |= {"figures/eval/reliability.png", "figures/eval/attacks.png", "architecture/model.png"}
    tables = {"scores.csv", "attacks.csv", "groups.csv", "shortcuts.csv", "model_card.md", "report.html"}
    tables |= {"architecture/model.txt"}
    bundle = {f"bundle/{name}" for name in ("bundle.json", "model.tflite", "model.keras", "dev.parquet")}
    assert figures | tables | bundle <= files, sorted(files)


def test_compare_alone_takes_what_is_trained(project, model, tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: smoke\nepochs: 1\n")
    printed = project.run("compare", configs=tmp_path / "mine.yaml", seeds="0", corpus="synthetic", output=tmp_path)
    assert "already trained" in printed
    assert "| mine | " in printed
    assert (tmp_path / "comparison.png").is_file()


def test_preprocess_alone_finds_its_store(project, shown):
    assert "Store is up to date" in project.run("preprocess", preset="smoke")


def test_train_again_finds_its_model_and_points_to_its_run(project, model):
    before = project.runs("train")
    assert "already trained" in project.run("train", preset="smoke", epochs=1)
    assert len(project.runs("train")) == len(before)
    (of_model,) = (run for run in before if run.data.tags["model_version"] == model.name)
    experiment = project.client.get_experiment_by_name("project").experiment_id
    (extra,) = project.client.search_runs([experiment], f"tags.continued_in = '{of_model.info.run_id}'")
    assert extra.info.status == "FINISHED"


def test_evaluate_alone_lands_in_the_training_run(project, model):
    def metrics() -> dict[str, float]:
        (run,) = (run for run in project.runs("train") if run.data.tags["model_version"] == model.name)
        return run.data.metrics

    before = metrics()
    assert "eval" in project.run("evaluate", model=model, subset="eval", saliency="false")
    assert project.runs("evaluate") == []
    assert metrics()["eval/eer"] == before["eval/eer"]


def test_evaluate_on_other_data_is_a_run_of_its_own(project, model, tmp_path):
    store = next((project.folder / "artifacts" / "data").glob("synthetic-*"))
    table = pd.read_parquet(store / "manifest.parquet")
    table[table["split"] == "eval"][["path", "label", "attack"]].to_csv(tmp_path / "mine.csv", index=False)
    mine = {"corpus": "table", "data_dir": tmp_path / "mine.csv", "split_by": "none"}
    project.run("evaluate", model=model, subset="eval", saliency="false", **mine)
    (run,) = project.runs("evaluate")
    assert run.data.tags["corpus"] == "table"
    (of_model,) = (run for run in project.runs("train") if run.data.tags["model_version"] == model.name)
    assert run.data.metrics["eval/eer"] == pytest.approx(of_model.data.metrics["eval/eer"])


def test_register_alone_adds_a_version_and_then_says_that_it_is_there(project, shown, model):
    assert "spoof-detector version 3" in project.run("register", model=model)
    assert "already registered: spoof-detector version 3" in project.run("register", model=model)
    assert project.client.get_model_version_by_alias("spoof-detector", "candidate").version == 3
    assert (project.folder / "artifacts" / "models" / "champion" / "bundle.json").is_file()


def test_score_alone_writes_every_row(project, shown, tmp_path):
    store = next((project.folder / "artifacts" / "data").glob("synthetic-*"))
    recording = pd.read_parquet(store / "manifest.parquet")["path"].iloc[0]
    project.run("score", input=recording, output=tmp_path / "scores.csv")
    (row,) = pd.read_csv(tmp_path / "scores.csv").to_dict("records")
    assert row["source"] == recording
    assert row["label"] in ("bonafide", "spoof", "no_speech")


def test_export_alone_writes_and_logs_every_format(project, shown, tmp_path):
    printed = project.run("export", model="models:/spoof-detector@champion", output=tmp_path, clips=8)
    (run,) = project.runs("export")
    assert run.data.params["scored_clips"] == "8"
    for name in ("litert-float32", "litert-float16", "litert-int8", "onnx"):
        assert name in printed
        assert f"export/{name}/size_mb" in run.data.metrics


def test_cross_alone_draws_its_matrix(project, model, tmp_path):
    project.run("cross", model=model, train_on="none", corpus="synthetic", output=tmp_path)
    (run,) = project.runs("cross")
    assert run.data.params["tested_on"] == "synthetic"
    assert (tmp_path / "matrix.png").is_file()


def test_stream_and_analyse_alone_hear_a_recording(project, model):
    store = next((project.folder / "artifacts" / "data").glob("synthetic-*"))
    recording = pd.read_parquet(store / "manifest.parquet")["path"].iloc[0]
    lines = project.run("stream", input=recording, model=model, pace="fast").splitlines()
    steps = [json.loads(line) for line in lines if line.startswith("{")]
    assert steps
    assert {step["label"] for step in steps} <= {"bonafide", "spoof", "no_speech"}
    project.run("analyse", input=recording, model=model, output=project.folder / "found")
    (channel,) = json.loads((project.folder / "found" / "analysis.json").read_text())["channels"]
    assert channel["scores"]
