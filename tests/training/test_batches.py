"""Plan of an epoch: balance, order, crops, and that it depends only on seed and epoch."""

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.training import batches

ROWS = np.arange(100, 130)
BONAFIDE = np.arange(30) < 6
SAMPLES = np.full(30, 40000)


def plan(epoch: int = 0, **settings) -> batches.Plan:
    return batches.plan(ROWS, BONAFIDE, SAMPLES, Config().replace(**{"clip_s": 1.0, **settings}), epoch)


def is_bonafide(chosen: batches.Plan) -> np.ndarray:
    return BONAFIDE[chosen.rows - 100]


def test_balanced_batches_hold_half_of_each_class():
    for batch in plan(batch_size=10).batches(10):
        assert is_bonafide(batch).sum() == 5


def test_balanced_plan_goes_through_a_class_before_it_repeats():
    chosen = plan()
    spoof = chosen.rows[~is_bonafide(chosen)]
    bonafide = chosen.rows[is_bonafide(chosen)]
    assert len(spoof) == len(set(spoof)) == 15
    assert set(np.unique(bonafide, return_counts=True)[1]) <= {2, 3}


def test_unbalanced_plan_is_a_permutation():
    assert sorted(plan(balance=False).rows) == list(ROWS)


def test_plan_repeats_for_the_same_seed_and_epoch_only():
    first, again, later, other = plan(3), plan(3), plan(4), plan(3, seed=1)
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.starts, again.starts)
    assert not np.array_equal(first.starts, later.starts)
    assert not np.array_equal(first.starts, other.starts)


def test_random_crops_stay_inside_the_clip_and_vary():
    starts = np.concatenate([plan(epoch).starts for epoch in range(50)])
    assert starts.min() >= 0
    assert starts.max() <= 40000 - 16000
    assert len(np.unique(starts)) > 1000


@pytest.mark.parametrize("settings", [{"crop": "first"}, {"clip_s": 10.0}])
def test_first_crop_and_short_clips_begin_at_zero(settings):
    assert not plan(**settings).starts.any()


def test_corpora_share_each_class_evenly_in_every_batch():
    bonafide = np.arange(120) % 4 == 0
    corpora = np.array(["big"] * 90 + ["small"] * 20 + ["spoof only"] * 10)
    bonafide[110:] = False
    rng = np.random.default_rng(0)
    drawn = batches.order(bonafide, True, rng, corpora)
    for first in range(0, 120, 12):
        batch = drawn[first : first + 12]
        kinds = [(bool(bonafide[clip]), str(corpora[clip])) for clip in batch]
        assert [kinds.count((True, name)) for name in ("big", "small")] == [3, 3]
        assert [kinds.count((False, name)) for name in ("big", "small", "spoof only")] == [2, 2, 2]
    assert len({clip for clip in drawn if corpora[clip] == "big" and not bonafide[clip]}) == 20  # none twice
    same = batches.order(bonafide, True, np.random.default_rng(1), np.zeros(120))
    assert np.array_equal(same, batches.order(bonafide, True, np.random.default_rng(1)))


def test_the_option_takes_the_corpora_into_account():
    corpora = np.where(np.arange(30) % 3, "big", "small")
    chosen = batches.plan(ROWS, BONAFIDE, SAMPLES, Config().replace(balance="corpus,label"), 0, corpora)
    assert (corpora[chosen.rows - 100] == "small").sum() in (14, 15, 16)
    without = batches.plan(ROWS, BONAFIDE, SAMPLES, Config(), 0, corpora)
    assert np.array_equal(without.rows, batches.plan(ROWS, BONAFIDE, SAMPLES, Config(), 0).rows)
