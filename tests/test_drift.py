"""Drift of served rows, from files of servers and of ``score`` to the exit status."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from pipeline import drift
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.metrics import stability
from pipeline.reporting import drift_figure
from pipeline.scoring.familiarity import Usual

VERSION = "tiny-1"


def trials(rng: np.random.Generator, count: int, spoofs: float) -> pd.DataFrame:
    """Calibrated trials with lengths and speech."""
    spoofed = rng.random(count) < spoofs
    duration_s = rng.uniform(2, 6, count)
    return pd.DataFrame(
        {
            "label": np.where(spoofed, "spoof", "bonafide"),
            "score": np.where(spoofed, -4.5, 4.5) + 3 * rng.normal(size=count),
            "duration_s": duration_s,
            "speech_s": duration_s * rng.uniform(0.6, 0.9, count),
        }
    )


@pytest.fixture
def model(make_model_folder):
    dev = trials(np.random.default_rng(1), 600, 0.5)
    names = [f"u{number}" for number in range(len(dev))]
    dev = dev.assign(utterance_id=names, speaker="s", attack="-", corpus="c", logit=dev["score"])
    return make_model_folder(VERSION, dev=dev)


def served(rng: np.random.Generator, day: str, count: int = 400) -> pd.DataFrame:
    """Rows of a server at which 5 % of the recordings are spoofs."""
    return trials(rng, count, 0.05).assign(
        time=f"{day}T10:00:00.000+00:00",
        familiarity=rng.random(count),
        latency_ms=rng.lognormal(3, 0.2, count),
        model_version=VERSION,
    )


@pytest.fixture
def log(tmp_path):
    """Five days: one with another codec's lower scores, one with half the speech, one with few rows."""
    rng = np.random.default_rng(2)
    days = [served(rng, f"2026-11-0{number}") for number in range(1, 5)]
    days[1]["score"] -= 4
    days[2]["speech_s"] *= 0.5
    days.append(served(rng, "2026-11-05", 20))
    path = tmp_path / "rows.jsonl"
    pd.concat(days).to_json(path, orient="records", lines=True)
    return path


def test_drift_is_found_named_and_logged(model, log, tmp_path, tracking_store, capsys):
    assert drift.main([str(log), "--model", str(model.folder), "--output", str(tmp_path / "found")]) == 1
    shown = capsys.readouterr().out
    named = [line.split(", median")[0] for line in shown.splitlines() if line.startswith("drift on")]
    assert named == ["drift on 2026-11-02: score", "drift on 2026-11-03: speech_share"]
    assert "2026-11-05      20  not judged" in shown
    found = json.loads((tmp_path / "found" / "drift.json").read_text())
    assert found["drift"] is True
    assert 0.03 < found["spoof_share"] < 0.2
    assert found["days"][0]["findings"]["score"]["psi"] < 0.1
    assert found["days"][1]["findings"]["score"]["psi"] > 0.25
    assert (tmp_path / "found" / "drift.png").read_bytes().startswith(b"\x89PNG")
    (run,) = mlflow.search_runs(experiment_names=["spoof-detector"], output_format="list")
    assert run.data.tags["stage"] == "drift"
    assert run.data.metrics["drift/found"] == 2
    psi = mlflow.MlflowClient().get_metric_history(run.info.run_id, "drift/score/psi")
    assert [point.step for point in psi] == [0, 1, 2, 3]


def options(**values) -> drift.DriftOptions:
    return drift.DriftOptions(**values)


def test_no_drift_on_the_newest_day_and_thresholds(model, log):
    rows, known = drift.read(log), drift.reference(model, 0.05)
    newest = drift.compare(rows, known, options(days=1))
    assert [day.name for day in newest if day.findings] == ["2026-11-04"]
    assert drift.drifted(newest) == []
    assert drift.drifted(drift.compare(rows, known, options(drift=50.0))) == []
    assert len(drift.drifted(drift.compare(rows, known, options()))) == 2
    # Dev as it is, half spoofs, takes the rare spoofs of each day for drift.
    assert {day.name for day, _ in drift.drifted(drift.compare(rows, drift.reference(model, 0.5), options()))} >= {
        "2026-11-01", "2026-11-04"
    }  # fmt: skip


def test_the_figure_is_of_days_with_findings(monkeypatch):
    found = drift.Finding(0.1, 0.1, 1.0, "", (-1.0, 0.0, 1.0, 2.0, 3.0))
    days = [drift.Day(f"a{number}", 400, {"score": found}) for number in range(40)]
    days += [drift.Day(f"b{number}", 20, {}) for number in range(40)]
    draw, drawn = drift_figure._draw, []
    monkeypatch.setattr(drift_figure, "_draw", lambda shown, *rest: drawn.extend(shown) or draw(shown, *rest))
    assert drift_figure.picture(days, {}, ("score",), drift.QUANTILES).startswith(b"\x89PNG")
    assert [day.name for day in drawn] == [f"a{number}" for number in range(9, 40)]


def test_latency_is_compared_with_the_first_day_and_decides_nothing(model, log):
    rows = drift.read(log)
    rows.loc[rows["day"] == "2026-11-04", "latency_ms"] *= 5
    days = drift.compare(rows, drift.reference(model, 0.05), options(days=1))
    assert days[3].findings["latency_ms"].state == "drift"
    assert drift.drifted(days) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_files_of_score_are_days_of_their_own(tmp_path, suffix):
    rows = served(np.random.default_rng(3), "x").drop(columns=["time", "familiarity"])
    rows.loc[0, ["score", "label"]] = None, ""
    path = tmp_path / f"monday{suffix}"
    {".csv": rows.to_csv, ".parquet": rows.to_parquet}.get(
        suffix, lambda p: rows.to_json(p, orient="records", lines=True)
    )(path)
    found = drift.read(path)
    assert set(found["day"]) == {path.name}
    assert len(found) == len(rows) - 1
    assert found["familiarity"].isna().all()
    np.testing.assert_allclose(found["speech_share"], (rows["speech_s"] / rows["duration_s"])[1:])


def test_bad_input_is_named(model, log, tmp_path, make_model_folder):
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.jsonl").write_text('{"score": 1')
    (tmp_path / "other.csv").write_text("path,label\na,b\n")
    with pytest.raises(ConfigError, match=r"empty.jsonl: no rows; name a file of SPOOF_SERVE_ROWS"):
        drift.read(tmp_path / "empty.jsonl")
    with pytest.raises(ConfigError, match=r"broken.jsonl: cannot be read as rows: "):
        drift.read(tmp_path / "broken.jsonl")
    with pytest.raises(ConfigError, match=r"none.csv: cannot be read as rows: No such file"):
        drift.read(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"other.csv: column 'score' is missing; found path, label"):
        drift.read(tmp_path / "other.csv")
    (tmp_path / "words.csv").write_text("score,speech_s,duration_s,model_version\nhigh,1,2,m\n")
    with pytest.raises(ConfigError, match=r"words.csv: a column of numbers holds something else: .*high"):
        drift.read(tmp_path / "words.csv")
    with pytest.raises(ConfigError, match="--input: name the files"):
        drift.main([])
    with pytest.raises(ModelFolderError, match="no dev trials"):
        drift.reference(make_model_folder("tiny-2"), 0.5)
    other = make_model_folder("tiny-3").folder
    with pytest.raises(ConfigError, match=r"no day has 50 scored rows of tiny-3: 0 rows .* 1620 of others \(tiny-1\)"):
        drift.main([str(log), "--model", str(other)])


def test_chance_alone_is_no_drift():
    rng = np.random.default_rng(4)
    dev, weights = rng.normal(size=150), np.ones(150)
    rows = pd.DataFrame({"day": np.repeat(np.arange(60), 60), "score": rng.normal(size=3600), "latency_ms": np.nan})
    days = drift.compare(rows, {"score": (dev, weights)}, options())
    psi = [day.findings["score"].psi for day in days]
    assert max(psi) > stability.DRIFT, "days of few rows have a large index by chance"
    assert drift.drifted(days) == []


def test_familiarity_of_dev_keeps_its_trials_and_their_weights(make_model_folder):
    rng = np.random.default_rng(5)
    dev = trials(rng, 600, 0.5).sort_values("label", ignore_index=True)
    names = [f"u{number}" for number in range(len(dev))]
    model = make_model_folder(
        VERSION, dev=dev.assign(utterance_id=names, speaker="s", attack="-", corpus="c", logit=dev["score"])
    )
    assert "familiarity" not in drift.reference(model, 0.02)
    vars(model)["usual"] = Usual(np.zeros(1), np.eye(1), rng.random(len(dev)))
    values, weights = drift.reference(model, 0.02)["familiarity"]
    assert np.argmin(values) == np.argmax(model.usual.dev_distances)
    shift = stability.shift(values, weights, rng.random(500))
    assert shift.psi < stability.WATCH
    assert shift.p > stability.SIGNIFICANCE
