"""Plan of an epoch: balance, order, crops, and that it depends only on seed and epoch."""

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.errors import ConfigError
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


def test_windows_of_partly_spoofed_clips_have_their_own_labels():
    # 2.5 s each; spoofed from 1.5 s on, by windows of 1 s: bonafide up to 0.5 s, spoof from 0.75 s on.
    spoofed = {int(row): ((1.5, 2.5),) for row in ROWS[20:]}
    config = Config().replace(clip_s=1.0)
    chosen = [batches.plan(ROWS, BONAFIDE, SAMPLES, config, epoch, spoofed=spoofed) for epoch in range(20)]
    seen = set()
    for own in chosen:
        labels = own.labels(BONAFIDE)
        assert 20 <= len(own.rows) <= 30
        assert abs(labels.sum() - len(labels) / 2) <= 0.5
        for row, start, bonafide in zip(own.rows, own.starts, labels, strict=True):
            if row not in spoofed:
                assert bonafide == (row < 106)
                continue
            assert start <= 8000 if bonafide else start >= 12000
            seen.add(bool(bonafide))
    assert seen == {True, False}
    assert sum(len(own.rows) for own in chosen) < 20 * 30
    part = chosen[0].part(slice(4))
    assert np.array_equal(part.labels(BONAFIDE), chosen[0].labels(BONAFIDE)[:4])


def test_a_window_shorter_than_its_spoof_share_is_an_error():
    spoofed = {int(row): ((0.0, 0.01),) for row in ROWS[6:]}
    with pytest.raises(ConfigError, match=r"--clip_s 1: no window drawn is spoofed by 25 % or more"):
        batches.plan(ROWS, BONAFIDE, SAMPLES, Config().replace(clip_s=1.0), 0, spoofed=spoofed)


def test_shares_of_windows_decide_their_labels():
    starts = np.array([0, 8000, 11999, 12000, 24000, 0])
    rows = np.array([7, 7, 7, 7, 7, 8])
    labels, decided = batches.window_labels(
        rows, starts, np.zeros(6, bool), np.full(6, 40000), {7: ((1.5, 2.5),)}, Config().replace(clip_s=1.0)
    )
    assert labels.tolist() == [True, True, False, False, False, False]
    assert decided.tolist() == [True, True, False, True, True, True]
