"""Evaluation end to end: a real Store, a real LiteRT model that numpy computes as well, a real tracking store."""

import json
import shutil

import mlflow
import pandas as pd
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from pipeline import evaluate, metrics, tracking
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import Calibration
from pipeline.store.store import Store
from tests.support.browser import asked, chromium, complaints
from tests.support.toy import CALIBRATION, CONFIG, drop, expected_logits, make_store, write_litert, write_model_folder


@pytest.fixture(scope="module")
def litert(tmp_path_factory):
    return write_litert(tmp_path_factory.mktemp("litert") / "model.tflite")


@pytest.fixture(scope="module")
def tracking_uri(empty_tracking_store, tmp_path_factory):
    """One tracking store for all tests of this module."""
    return f"sqlite:///{shutil.copy(empty_tracking_store, tmp_path_factory.mktemp('mlflow'))}"


@pytest.fixture(autouse=True)
def one_tracking_store(own_places, tracking_uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    mlflow.set_tracking_uri(None)
    yield
    mlflow.set_tracking_uri(None)


@pytest.fixture
def opened(tmp_path):
    return make_store(tmp_path / "data" / "toy-0")


@pytest.fixture
def make_model_folder(litert, tmp_path):
    def make(opened: Store, *, version="toy-1", **values):
        return write_model_folder(tmp_path / "models" / version, litert, opened, **values)

    return make


@pytest.fixture
def training_run():
    """A training run of three epochs."""
    with tracking.run("toy-1", stage="train") as run:
        mlflow.log_params({"device": "CPU", "precision": "float32"})
        mlflow.set_tag("command", "python -m pipeline.train --preset smoke")
        for epoch in range(3):
            row = {f"{s}/{m}": 0.5 / (epoch + 1) for s in ("train", "dev") for m in ("loss", "eer", "auc")}
            mlflow.log_metrics(row | {"speed/epoch_s": 1.0}, step=epoch)
        mlflow.log_metric("best_epoch", 2)
    return run.info.run_id


def artifacts(run_id: str, path: str = "") -> set[str]:
    return {item.path for item in mlflow.MlflowClient().list_artifacts(run_id, path)}


def test_scores_are_calibrated_means_over_windows(opened, make_model_folder):
    found = evaluate.evaluate(make_model_folder(opened), opened, "eval")
    logits = expected_logits(opened, "eval")
    assert found.trials["utterance_id"].tolist() == [f"eval_{i}" for i in range(32)]
    assert found.trials["logit"].to_numpy() == pytest.approx(logits, abs=1e-5)
    assert found.scores == pytest.approx(CALIBRATION.apply(logits), abs=1e-4)
    assert found.metrics["eer"] == metrics.eer(found.scores, found.labels)
    seen = {g.name: g.seen for g in found.groups if g.kind in ("attack", "pool")}
    assert seen == {"A01": True, "A07": False, "seen": True, "unseen": False}
    recorders = [(g.name, g.against, g.trials, g.bonafide) for g in found.groups if g.condition == "recorder"]
    assert recorders == [("R01", "bonafide", 8, 16), ("R02", "bonafide", 8, 16)]
    assert sum(g.kind == "speaker" for g in found.groups) == 5


def test_attacks_that_training_left_out_are_unseen(opened, make_model_folder):
    model = make_model_folder(opened, config=CONFIG.replace(leave_out="A01"))
    found = evaluate.evaluate(model, opened, "eval")
    assert {g.name: g.seen for g in found.groups if g.kind == "attack"} == {"A01": False, "A07": False}


def test_the_evaluation_of_a_training_run_lands_in_it(opened, make_model_folder, training_run, tmp_path, monkeypatch):
    model = make_model_folder(opened, run_id=training_run)
    extra = mlflow.MlflowClient().create_run(mlflow.get_run(training_run).info.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", extra)
    folder = evaluate.run(model.folder, opened.folder)
    assert folder == tmp_path / "artifacts" / "evaluations" / "toy-1"
    assert mlflow.get_run(extra).data.tags["continued_in"] == training_run

    run = mlflow.get_run(training_run)
    assert run.info.status == "FINISHED"
    for subset in ("dev", "eval"):
        found = evaluate.evaluate(model, opened, subset)
        assert found.mlflow_metrics().items() <= run.data.metrics.items()
    history = mlflow.MlflowClient().get_metric_history(training_run, "dev/eer")
    assert [m.step for m in history] == [0, 1, 2, 3]

    files = {"scores.csv", "attacks.csv", "groups.csv", "shortcuts.csv", "evaluation.json", "report.html"}
    files |= {"scores_dev.tsv", "scores_eval.tsv"}
    files |= {"model_card.md", "figures"}
    assert files <= artifacts(training_run)
    assert {path.name for path in folder.iterdir()} == files
    drawn = {"confusion", "scores", "roc", "det", "reliability", "attacks"}
    for subset in ("dev", "eval"):
        assert {path.stem for path in (folder / "figures" / subset).iterdir()} == drawn
    assert artifacts(training_run, "figures") == {
        f"figures/{n}" for n in ("dev", "eval", "examples", "training_curves.png")
    }

    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores) == ["subset", "utterance_id", "label", "attack", "speaker", "logit", "score"]
    assert scores["subset"].value_counts().to_dict() == {"dev": 32, "eval": 32}
    attacks = pd.read_csv(folder / "attacks.csv")
    assert attacks[["subset", "name", "seen", "trials"]].to_numpy().tolist() == [
        ["dev", "A01", True, 8],
        ["dev", "A02", True, 8],
        ["eval", "A01", True, 8],
        ["eval", "A07", False, 8],
    ]
    page = (folder / "report.html").read_text()
    assert "python -m pipeline.train --preset smoke" in page
    shown = json.loads((folder / "evaluation.json").read_text())["clips"]
    assert page.count("data:image/png;base64,") == 1 + 2 * len(drawn) + 2 + len(shown)
    assert page.count("data:audio/flac;base64,") == len(shown) == 8


def test_another_store_gets_a_run_of_its_own(opened, make_model_folder, training_run, tmp_path):
    model = make_model_folder(opened, run_id=training_run)
    other = make_store(tmp_path / "data" / "other-1", seed=1, name="other")
    folder = evaluate.run(model.folder, other.folder, ["eval"], tmp_path / "mine")
    assert folder == tmp_path / "mine"
    assert "eval/eer" not in mlflow.get_run(training_run).data.metrics
    run = mlflow.search_runs(filter_string="tags.stage = 'evaluate'", experiment_names=["spoof-detector"]).iloc[0]
    tags = ("model_version", "preset", "backbone", "front_end", "weights", "corpus", "split", "seed")
    expected = ["toy-1", "smoke", "efficientnetb0", "logmel", "none", "other", "official", "0"]
    assert [run[f"tags.{name}"] for name in tags] == expected
    (used,) = mlflow.get_run(run["run_id"]).inputs.dataset_inputs
    assert used.dataset.name == "other-eval"
    assert run["metrics.eval/eer"] >= 0
    text = evaluate.table_text(folder)
    assert "A07" in text
    assert "unseen" not in text
    assert "of another Store" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def everything(litert, tracking_uri, tmp_path_factory):
    """The folder of an evaluation with all that can be asked for."""
    place = tmp_path_factory.mktemp("everything")
    opened = make_store(place / "toy-0")
    model = write_model_folder(place / "toy-3", litert, opened)
    other = write_model_folder(place / "toy-2", litert, opened, calibration=Calibration(1.0, 5.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        mlflow.set_tracking_uri(None)
        folder = place / "evaluation"
        return evaluate.run(model.folder, opened.folder, output=folder, against=other.folder, robust=True)


def test_against_another_model_and_robustness_are_in_files_run_and_report(everything):
    against = pd.read_csv(everything / "against.csv").set_index(["subset", "group"])
    assert list(against.index) == [
        *(
            (s, g)
            for s in ("dev", "eval")
            for g in ("all attacks", "seen attacks", "unseen attacks")
            if (s, g) != ("dev", "unseen attacks")
        ),
    ]
    same = against.loc[("eval", "all attacks")]
    # the same network: another calibration changes the decisions, and not the order of scores
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    scores = pd.read_csv(everything / "scores.csv").query("subset == 'eval'")
    truth = scores["label"] == "bonafide"
    own, other = (scores["score"] >= 0.25) == truth, (scores["logit"] + 5 >= 0.25) == truth
    assert same["own_right"] == (own & ~other).sum() > 0
    assert same["rival_right"] == (other & ~own).sum()

    sweep = pd.read_csv(everything / "robustness.csv")
    assert len(sweep) == 1 + 3 * 4 + 3 + 4 + 2 + 2
    (run,) = mlflow.search_runs(
        filter_string="tags.against = 'toy-2'", output_format="list", search_all_experiments=True
    )
    logged = run.data.metrics
    clean = float(sweep.loc[sweep["condition"] == "clean", "eer"].iloc[0])
    assert logged["eval/robustness/clean/eer"] == logged["eval/eer"] == pytest.approx(clean)
    assert logged["eval/against/mcnemar_p"] == pytest.approx(same["p"])
    assert logged["eval/recorder/R01/eer"] >= 0
    assert "shortcuts/duration/auc" in logged
    assert {p.stem for p in (everything / "figures").glob("**/*.png")} >= {"robustness", "against"}
    assert "Against toy-2" in evaluate.table_text(everything)
    assert "at worst" in (everything / "model_card.md").read_text()


def test_a_browser_without_network_shows_the_report_without_a_complaint(everything, tmp_path):
    """Every figure and sound loads from the page itself; nothing outside it is asked for, and the console is silent."""
    with chromium(tmp_path, "host-resolver-rules=MAP * ~NOTFOUND") as browser:
        browser.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        page = (everything / "report.html").as_uri()
        browser.get(page)
        wait = WebDriverWait(browser, 30)
        wait.until(lambda b: b.execute_script("return [...document.images].every(i => i.complete)"))
        assert browser.execute_script("return [...document.images].map(i => i.naturalWidth)").count(0) == 0
        browser.execute_script("document.querySelectorAll('audio').forEach(a => { a.preload = 'auto'; a.load(); })")
        wait.until(
            lambda b: b.execute_script("return [...document.querySelectorAll('audio')].every(a => a.duration > 0)")
        )
        assert {url for url in asked(browser, page) if not url.startswith("data:")} == {page}
        assert complaints(browser) == []
        widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1], "nothing runs out of the page"


def test_a_subset_of_one_class_is_said_to_be(opened, make_model_folder):
    drop(opened.folder, lambda t: (t["split"] != "eval") | (t["label"] == "spoof"))
    folder = evaluate.run(make_model_folder(opened).folder, opened.folder, ["eval"])
    assert "eval: one class only: spoof." in evaluate.table_text(folder)
    assert {path.stem for path in (folder / "figures" / "eval").iterdir()} == {"confusion", "scores"}
    assert len(pd.read_csv(folder / "scores.csv")) == 16


def test_an_empty_subset_beside_another_is_said_to_be_and_alone_is_an_error(opened, make_model_folder):
    drop(opened.folder, lambda t: t["split"] != "eval")
    model = make_model_folder(opened)
    with pytest.raises(ConfigError, match=r"--subset eval: .* has no clips there"):
        evaluate.run(model.folder, opened.folder, ["eval"])
    folder = evaluate.run(model.folder, opened.folder, ["dev", "eval"])
    assert "eval: no clips." in evaluate.table_text(folder)


def test_the_command_prints_the_tables_and_where_things_are(opened, make_model_folder, capsys):
    folder = make_model_folder(opened).folder
    assert evaluate.main(["--model", str(folder), "--store", str(opened.folder), "--subset", "eval"]) == 0
    printed = capsys.readouterr().out
    assert evaluate.table_text(folder.parents[1] / "artifacts" / "evaluations" / "toy-1") in printed
    assert str(folder.parents[1] / "artifacts" / "evaluations" / "toy-1" / "report.html") in printed


@pytest.mark.parametrize(("flags", "corpus"), [([], "synthetic"), (["--corpus", "demo"], "demo")])
def test_without_a_store_it_is_the_models_corpus_unless_another_is_named(
    opened, make_model_folder, monkeypatch, flags, corpus
):
    asked = []

    def stop(config):
        asked.append(config.corpus.corpus)
        raise ConfigError("stop")

    monkeypatch.setattr(evaluate.preprocess, "ensure", stop)
    with pytest.raises(ConfigError, match="stop"):
        evaluate.main(["--model", str(make_model_folder(opened).folder), *flags])
    assert asked == [corpus]


def test_a_wrong_subset_names_the_right_ones():
    with pytest.raises(ConfigError, match="--subset 'test': choose among train, dev, eval"):
        evaluate.main(["--subset", "dev,test"])
