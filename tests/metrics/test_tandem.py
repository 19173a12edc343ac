"""Tandem metrics against the organisers' programs.

Reference values: t-DCF of 2021 and its form of 2019 by ``eval-package/eval_metrics.py`` of asvspoof-challenge/2021
(9b33f5e), the latter also by the program of 2019; t-EER and a-DCF by ``evaluation-package`` of
asvspoof-challenge/asvspoof5 (fe23d30), whose a-DCF is that of shimhz/a_dcf (0560623).
"""

import numpy as np
import pytest
from scipy.special import ndtri

from pipeline.metrics import MetricError, tandem
from pipeline.metrics.tandem import AsvScores


def q(n, mean, deviation=1.0):
    """n evenly spaced quantiles of a normal distribution."""
    return mean + deviation * ndtri((np.arange(n) + 0.5) / n)


SETS = {
    "good": (AsvScores(q(200, 2), q(300, -2), q(400, 1)), q(500, 1.5), q(600, -1.3)),
    "poor": (AsvScores(q(97, 1, 0.7), q(211, -1, 1.3), q(153, 0.2, 0.9)), q(131, 0.8, 1.1), q(257, -0.9, 0.8)),
    "few": (
        AsvScores(np.array([2, 1.5, 0.9, 0.3]), np.array([-1, -0.2, 0.1, 0.4, -2]), np.array([1.2, 0.8, -0.5])),
        np.array([2, 1, 0.5, -0.2]),
        np.array([-1, -0.5, 0.1, 0.8, -2]),
    ),
}


@pytest.mark.parametrize(
    ("name", "tdcf_2019", "tdcf_2021", "t_eer", "a_dcf"),
    [
        ("good", 0.230405396637, 0.266993375187, 0.0805375, 0.664002801120),
        ("poor", 0.683108673901, 0.813887891386, 0.185854886702, 0.637169481791),
        ("few", 0.4, 0.432355723746, 0.266666666667, 0.592156862745),
    ],
)
def test_the_organisers_programs_give_the_same(name, tdcf_2019, tdcf_2021, t_eer, a_dcf):
    asv, bonafide, spoof = SETS[name]
    scores = np.concatenate([spoof, bonafide])
    labels = np.arange(len(scores)) >= len(spoof)
    assert tandem.min_tdcf(scores, labels, asv, "2019") == pytest.approx(tdcf_2019, abs=1e-11)
    assert tandem.min_tdcf(scores, labels, asv, "2021") == pytest.approx(tdcf_2021, abs=1e-11)
    assert tandem.t_eer(scores, labels, asv) == pytest.approx(t_eer, abs=1e-11)
    assert tandem.a_dcf(asv) == pytest.approx(a_dcf, abs=1e-11)


def test_a_useless_detector_costs_as_much_as_none():
    asv, *_ = SETS["good"]
    labels = np.arange(100) < 50
    assert tandem.min_tdcf(np.zeros(100), labels, asv, "2019") == pytest.approx(1)
    assert tandem.min_tdcf(np.zeros(100), labels, asv, "2021") == pytest.approx(1)


def test_a_perfect_detector_leaves_what_the_verifier_errs():
    asv, *_ = SETS["good"]
    labels = np.arange(100) < 50
    scores = np.where(labels, 5.0, -5.0)
    assert tandem.min_tdcf(scores, labels, asv, "2019") == 0
    assert 0 < tandem.min_tdcf(scores, labels, asv, "2021") < 0.1


def test_undefined_figures_are_refused():
    asv, bonafide, spoof = SETS["good"]
    scores, labels = np.concatenate([spoof, bonafide]), np.arange(1100) >= 600
    with pytest.raises(MetricError, match="0 spoof trials of the verifier"):
        AsvScores(asv.target, asv.nontarget, np.array([]))
    with pytest.raises(MetricError, match="rejects every spoof"):
        tandem.min_tdcf(scores, labels, AsvScores(asv.target, asv.nontarget, np.full(9, -9.0)))
