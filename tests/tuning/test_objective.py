"""Values of a trial: metrics of the kept epoch, and latency."""

import itertools
from types import SimpleNamespace

import pytest

from pipeline.config import preset
from pipeline.training.checkpoint import Progress
from tuning import objective

HISTORY = [
    {"dev/eer": 0.3, "dev/cllr": 0.8, "train/eer": 0.2},
    {"dev/eer": 0.1, "dev/cllr": 0.5, "train/eer": 0.1},
    {"dev/eer": 0.2, "dev/cllr": 0.4, "train/eer": 0.0},
]


def test_cllr_orders_equal_eers_only():
    def value(eer, cllr):
        return objective.values(["eer"], {"dev/eer": eer, "dev/cllr": cllr})[0]

    assert value(0.1, 0.3) < value(0.1, 0.4) < value(0.1 + 1 / 1920, 0.0)
    assert value(0.1, 1.0) == pytest.approx(0.1, abs=1e-5), "the EER can be read from it"


def test_other_objectives_are_the_metric_itself():
    metrics = {"dev/eer": 0.1, "dev/cllr": 0.3, "dev/auc": 0.9, "latency_ms": 4.0}
    assert objective.values(["auc", "latency", "cllr"], metrics) == [0.9, 4.0, 0.3]
    assert objective.OBJECTIVES["auc"].direction == "maximize"


def test_a_trial_has_the_metrics_of_the_epoch_that_training_keeps():
    progress = Progress("run", epoch=3, best_epoch=1, history=HISTORY)
    assert objective.kept(progress, "best") == {"dev/eer": 0.1, "dev/cllr": 0.5}
    assert objective.kept(progress, "last") == {"dev/eer": 0.2, "dev/cllr": 0.4}


@pytest.mark.parametrize(("windows", "a_second"), [("consecutive", 2), ("spread", 8 / 3), ("overlapping", 4)])
def test_latency_counts_the_windows_of_a_second(windows, a_second, monkeypatch):
    ticks = itertools.count(step=0.01)
    monkeypatch.setattr(objective, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    short = preset("smoke").replace(backbone="lcnn", dense_units=8, clip_s=0.5, windows=windows)
    assert objective.latency_ms(short) == pytest.approx(10 * a_second), "windows of 10 ms each"
