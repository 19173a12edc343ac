"""Stability of a population, against scipy and by hand."""

import numpy as np
import pytest
from scipy import stats

from pipeline.metrics import stability

RNG = np.random.default_rng(0)
EVEN = np.arange(1000) / 1000


def ones(values) -> np.ndarray:
    return np.ones(len(values))


def test_the_index_by_hand():
    # Half of the rows in the first bin, the others as the reference: (0.5 - 0.1) ln 5 + 9 (1/18 - 0.1) ln (1/18 / 0.1)
    served = np.concatenate([np.full(9000, 0.05), np.repeat(np.arange(0.15, 1, 0.1), 1000)])
    exact = 0.4 * np.log(5) + 9 * (1 / 18 - 0.1) * np.log(10 / 18)
    assert stability.population_stability(EVEN, ones(EVEN), served) == pytest.approx(exact, rel=0.02)
    assert stability.population_stability(EVEN, ones(EVEN), EVEN) == pytest.approx(0, abs=1e-4)


def test_the_test_is_that_of_scipy_and_weights_count_as_copies():
    reference, served = RNG.normal(0, 1, 300), RNG.normal(0.2, 1, 500)
    expected = stats.ks_2samp(reference, served, method="asymp")
    assert stability.weighted_ks(reference, ones(reference), served) == pytest.approx(tuple(expected))
    copies = RNG.integers(1, 4, 300)
    weighted, _ = stability.weighted_ks(reference, copies.astype(float), served)
    assert weighted == pytest.approx(stats.ks_2samp(np.repeat(reference, copies), served).statistic)


def test_a_constant_reference_sees_what_lies_below_and_above():
    for moved in (3.0, 5.0):
        assert stability.population_stability(np.full(100, 4.0), np.ones(100), np.full(100, moved)) > 1
    assert stability.population_stability(np.full(100, 4.0), np.ones(100), np.full(100, 4.0)) < 0.01


def test_holm_by_hand():
    np.testing.assert_allclose(stability.holm([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    assert stability.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_the_share_of_spoofs_is_found_from_calibrated_scores(share):
    # Scores of two normal classes a distance d apart are calibrated where their means are ±d²/2 and their variance d².
    spoofs = RNG.random(20_000) < share
    scores = np.where(spoofs, -4.5, 4.5) + 3 * RNG.normal(size=20_000)
    assert stability.spoof_share(scores) == pytest.approx(share, abs=0.01)


def test_few_rows_have_a_large_index_by_chance_and_no_significance():
    reference = RNG.normal(size=200)
    found = [stability.shift(reference, ones(reference), RNG.normal(size=30)) for _ in range(200)]
    assert np.mean([one.psi > stability.WATCH for one in found]) > 0.9
    assert np.mean([one.p < stability.SIGNIFICANCE for one in found]) < 0.03
