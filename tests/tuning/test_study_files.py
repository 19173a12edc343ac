"""Files of a study: table, best configuration, figures and page."""

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import cli
from tests.support.made_study import fill, settings
from tuning import results, study, study_figures, study_page


@pytest.fixture
def folder(searched, tmp_path):
    study_page.write(searched, tmp_path / "out", 32)
    return tmp_path / "out"


def test_all_files_are_written(folder):
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    figures = ("history", "intermediate_values", "slices", "importances")
    assert names == {"trials.csv", "best_params.yaml", "study.html", *(f"figures/{name}.png" for name in figures)}
    assert all((folder / "figures" / f"{n}.png").read_bytes().startswith(b"\x89PNG") for n in figures)


def test_the_table_has_every_trial(searched, folder):
    table = pd.read_csv(folder / "trials.csv", keep_default_na=False)
    assert list(table["trial"]) == list(range(24))
    assert table["source"][0] == "default parameters"
    assert table["error"][4] == "ProjectError: training diverged"
    assert set(table["state"]) == {"complete", "pruned", "failed"}
    best = study.ranked(searched)[0]
    assert float(table["dev/eer"][best.number]) == best.value
    assert float(table["learning_rate"][best.number]) == best.params["learning_rate"]
    assert float(table["duration_s"][0]) == 120.0


def test_the_best_configuration_is_a_configuration_file(searched, folder):
    best = study.ranked(searched)[0]
    values = yaml.safe_load((folder / "best_params.yaml").read_text())
    assert values.items() >= best.params.items()
    assert (values["preset"], values["epochs"]) == ("smoke", 32)
    assert not {"seed", "require_gpu"} & set(values)
    config, _, _ = cli.parse("", sections=("train",), argv=["--config", str(folder / "best_params.yaml")])
    assert config == results.best_config(searched).replace(epochs=32)
    assert config != settings().config


def test_the_page_is_self_contained(folder):
    page = (folder / "study.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    assert "<script" not in page
    assert page.count("default parameters") == 1


def test_two_objectives_have_a_front(place, tmp_path):
    own = study.create(place, "two", settings(objectives=("eer", "latency"), pruner="none"))
    fill(own, 16)
    study_page.write(own, tmp_path, 32)
    names = {p.stem for p in (tmp_path / "figures").iterdir()}
    assert "pareto_front" in names
    assert "intermediate_values" not in names
    assert "latency (ms/s)" in (tmp_path / "study.html").read_text()


@pytest.mark.parametrize("trials", [0, 1, 2])
def test_a_study_of_few_trials_is_written(place, tmp_path, trials):
    own = study.create(place, "few", settings())
    fill(own, trials)
    study_page.write(own, tmp_path, 32)
    assert (tmp_path / "best_params.yaml").exists() == (trials > 0)
    assert len(pd.read_csv(tmp_path / "trials.csv")) == trials
    assert results.summary(own).startswith(f"study few, {trials} trial")


def test_lines_for_the_terminal(searched):
    failed = searched.get_trials()[4]
    assert results.line(searched, failed).startswith(
        "== trial 4 failed after 0 epochs: ProjectError: training diverged"
    )
    default, best = searched.get_trials()[0], study.ranked(searched)[0]
    line = results.line(searched, default)
    assert line.startswith("== trial 0 complete after 12 epochs: dev EER ")
    assert line.endswith(f"| best: dev EER {100 * best.value:.2f} %, trial {best.number}")
    summary = results.summary(searched).splitlines()
    assert summary[0].startswith("study smoke-1, 24 trials: ")
    assert [one.split(":")[0] for one in summary[1:]] == ["default parameters", "best"]


def test_importance_needs_trials_that_differ(place, searched):
    weights = study_figures.importances(searched)
    assert set(weights) == set(settings().params)
    assert sum(weights.values()) == pytest.approx(1)
    own = study.create(place, "few", settings())
    fill(own, 2)
    assert study_figures.importances(own) == {}


def test_the_best_so_far_rises_for_an_objective_to_maximise():
    table = pd.DataFrame(
        {"trial": [0, 1, 2], "state": ["complete"] * 3, "dev/auc": [0.6, 0.9, 0.8], "source": [""] * 3}
        | {"dropout": [0.1, 0.2, 0.3]}
    )
    figure = study_figures.history(table, "auc")
    (so_far,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    np.testing.assert_array_equal(so_far.get_ydata(), [0.6, 0.9, 0.9])
