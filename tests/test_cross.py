"""Cross-corpus evaluation: what is trained and tested, what the matrix holds, and that nothing is done twice."""

import numpy as np
import pandas as pd
import pytest

from pipeline import corpora, cross, evaluate, metrics
from pipeline.errors import ConfigError
from pipeline.evaluation import clips
from pipeline.reporting import cross_matrix
from pipeline.scoring import model_folders
from pipeline.training import loop
from tests.support.corpus_trees import tree, write_noise

CELLS = pd.DataFrame(
    [
        {"trained_on": "a", "corpus": "a", "phase": "", "eer": 0.1, "eer_low": 0.05, "eer_high": 0.15, "own": True},
        {"trained_on": "a", "corpus": "b", "phase": "eval", "eer": 0.4, "eer_low": 0.3, "eer_high": 0.5, "own": False},
        {"trained_on": "a", "corpus": "c", "phase": "", "eer": np.nan, "own": False, "note": "one class only: spoof"},
        {"trained_on": "a+b", "corpus": "a", "phase": "", "eer": 0.2, "eer_low": np.nan, "own": True},
        {"trained_on": "a+b", "corpus": "b", "phase": "eval", "eer": 0.3, "eer_low": 0.2, "eer_high": 0.4, "own": True},
        {"trained_on": "a+b", "corpus": "c", "phase": "", "eer": np.nan, "own": False, "note": "one class only: spoof"},
    ]
)


def test_rows_are_corpora_that_are_tested_too():
    tested = dict.fromkeys(["a", "b", "c"])
    assert cross.trainings("", tested) == {"a": ["a"]}
    assert cross.trainings("b, a + c", tested) == {"b": ["b"], "a+c": ["a", "c"]}
    assert cross.trainings("none", tested) == {}
    with pytest.raises(ConfigError, match=r"--train_on 'a\+d': 'd' is none of a, b, c of --corpus"):
        cross.trainings("a+d", tested)


def test_the_table_is_a_matrix():
    wide = cross_matrix.wide(CELLS)
    assert (list(wide.index), list(wide.columns)) == (["a", "a+b"], ["a", "b eval", "c"])
    np.testing.assert_allclose(wide.to_numpy(), [[0.1, 0.4, np.nan], [0.2, 0.3, np.nan]])
    text = cross_matrix.markdown(CELLS).splitlines()
    assert text[2] == "| trained on | a | b eval | c |"
    assert text[4] == "| a | 10.0 (5.0–15.0) * | 40.0 (30.0–50.0) | – one class only |"
    assert text[5] == "| a+b | 20.0 * | 30.0 (20.0–40.0) * | – one class only |"
    assert cross_matrix.picture(CELLS).startswith(b"\x89PNG")


@pytest.mark.usefixtures("tracking_store")
def test_a_model_is_trained_on_one_corpus_and_tested_on_all_once(smoke, synthetic_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "draw", lambda *_, **__: [])  # half of the time of an evaluation
    import mlflow

    places = f"{synthetic_corpus},{tree('asvspoof2021_la', tmp_path / 'phases', seconds=0.5)}"
    config = smoke.replace(
        corpus="synthetic,asvspoof2021_la", data_dir=places, epochs=1, backbone="lcnn", dense_units=8
    )
    rows = cross.trainings("", corpora.apart(config.corpus))
    table = cross.run(config, rows, {}, tmp_path / "out")
    assert list(zip(table["trained_on"], table["corpus"], table["phase"], table["own"], strict=True)) == [
        ("synthetic", "synthetic", "", True),
        ("synthetic", "asvspoof2021_la", "eval", False),
        ("synthetic", "asvspoof2021_la", "hidden", False),
        ("synthetic", "asvspoof2021_la", "progress", False),
        ("synthetic", "pooled", "", False),
    ]
    assert list(zip(table["bonafide"], table["spoof"], strict=True)) == [(20, 60), (1, 1), (1, 1), (1, 1), (23, 63)]
    assert table["eer"].between(0, 1).all()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"cells.csv", "matrix.csv", "matrix.md", "matrix.png"}
    own = pd.read_csv(tmp_path / "artifacts" / "evaluations" / table["evaluation"][0] / "scores.csv")
    assert set(own["subset"]) == {"eval"}
    (run,) = mlflow.search_runs(search_all_experiments=True, filter_string="tags.stage = 'cross'", output_format="list")
    assert run.data.metrics["synthetic/on/asvspoof2021_la/hidden/eer"] == table["eer"][2]
    both = pd.concat([pd.read_csv(tmp_path / "artifacts" / "evaluations" / name / "scores.csv") for name in
                      table["evaluation"][:2]])  # fmt: skip
    pooled = metrics.eer(both["score"], both["label"] == "bonafide")
    assert run.data.metrics["synthetic/on/pooled/eer"] == table["eer"][4] == pooled
    assert table["eer_low"][4] <= pooled <= table["eer_high"][4]
    monkeypatch.setattr(loop, "fit", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: pytest.fail("evaluated again"))
    pd.testing.assert_frame_equal(cross.run(config, rows, {}, tmp_path / "again"), table)


@pytest.mark.usefixtures("tracking_store")
def test_models_that_are_there_are_tested_on_all_of_a_corpus_without_splits(make_model_folder, tmp_path, capsys):
    folder = tmp_path / "own"
    for kind in ("bonafide", "spoof"):
        (folder / kind).mkdir(parents=True)
        for number in range(3):
            write_noise(folder / kind / f"{number}.wav", 0.5)
    one = make_model_folder("tiny-1").folder
    command = ["--preset", "smoke", "--train_on", "none", "--corpus", "folder", "--data_dir", str(folder)]
    assert cross.main([*command, "--model", str(one), "--output", str(tmp_path / "out")]) == 0
    assert "| trained on | folder |" in capsys.readouterr().out
    cells = pd.read_csv(tmp_path / "out" / "cells.csv")
    assert (cells["trained_on"].tolist(), cells["own"].tolist()) == (
        [model_folders.ModelFolder.load(one).model_version],
        [False],
    )
    assert (cells["bonafide"].tolist(), cells["spoof"].tolist()) == ([3], [3])
    with pytest.raises(ConfigError, match="--train_on none: then name the models to test"):
        cross.main(command)
