"""Measure of score files through the command: the figures are ours, whatever system made the scores."""

import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline import measure, metrics
from pipeline.errors import ConfigError
from pipeline.reporting.evaluation_summary import EvaluationSummary


@pytest.fixture
def trials(tmp_path):
    """Keys of ASVspoof 5 and two score files; the first is better."""
    rng = np.random.default_rng(0)
    names, bonafide = [f"E_{n}" for n in range(120)], np.arange(120) % 3 == 0
    attacks = np.where(bonafide, "-", np.where(np.arange(120) % 2, "A17", "A30"))
    lines = [
        f"E_{n % 8} {name} F {'C05' if n % 5 else 'C07'} - - AC1 {attack} {'bonafide' if attack == '-' else 'spoof'} -"
        for n, (name, attack) in enumerate(zip(names, attacks, strict=True))
    ]
    (tmp_path / "keys.tsv").write_text("\n".join(lines))
    systems = [np.where(bonafide, 1.0, -1.0) + spread * rng.standard_normal(120) for spread in (0.6, 3.0)]
    for system, scores in zip(("theirs", "other"), systems, strict=True):
        rows = zip(names, scores.tolist(), strict=True)
        (tmp_path / f"{system}.txt").write_text("".join(f"{name} {score!r}\n" for name, score in rows))
    asv = [f"bonafide target {x}\nbonafide nontarget {-x}\nA17 spoof {x - 1}\n" for x in np.linspace(-0.5, 3, 40)]
    (tmp_path / "asv.txt").write_text("".join(asv))
    return systems, bonafide


def test_report_figures_and_paired_test(trials, tracking_store, tmp_path, capsys):
    (own, other), bonafide = trials
    arguments = [*("theirs.txt", "keys.tsv", "--against", "other.txt"), *("--asv_scores", "asv.txt")]
    assert measure.main([*arguments, "--sasv_scores", "asv.txt"]) == 0
    folder = tmp_path / "artifacts/measurements/theirs"
    found = EvaluationSummary.read(folder)
    result = found.results["eval"]
    assert result.metrics["eer"] == metrics.eer(own, bonafide)
    assert {"min_tdcf_2019", "min_tdcf_2021", "t_eer", "a_dcf", "eer_low", "cllr"} <= set(result.metrics)
    assert {g.name for g in found.groups("attack")} == {"A17", "A30"}
    assert {g.name for g in found.groups("condition")} == {"C05", "C07"}
    difference = found.rival.differences["eval"]["all attacks"]
    assert difference.difference == pytest.approx(metrics.eer(other, bonafide) - metrics.eer(own, bonafide))
    assert difference.better
    page = (folder / "report.html").read_text()
    assert "Scores in theirs.txt, measured against keys.tsv." in page
    assert "Compared with other" in page
    assert not [part for part in ("Trained on", "Shortcut audit", "Robustness") if part in page]
    scores = pd.read_csv(folder / "scores_eval.tsv", sep="\t")
    assert list(scores.columns) == ["filename", "cm-score"]
    assert scores["cm-score"].tolist() == own.tolist()
    printed = capsys.readouterr().out
    assert "min t-DCF (2021)" in printed
    assert "Against other" in printed
    shutil.copy(folder / "scores_eval.tsv", tmp_path / "again.tsv")  # what we write is read
    assert measure.score_files.read_scores(tmp_path / "again.tsv")["E_5"] == own[5]


def test_two_files_are_needed():
    with pytest.raises(ConfigError, match="expected a score file and a key file"):
        measure.main(["theirs.txt"])
