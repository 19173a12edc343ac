"""Pseudo-spoofs: which clips of a batch they replace, and what each method does to speech."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.training import pseudo_spoofs
from pipeline.training.pseudo_spoofs import PseudoSpoofing

METHODS = sorted(set(pseudo_spoofs.METHODS), key=lambda method: method.__name__)
SEED = tf.constant([0, 7])


@pytest.fixture
def waves(voice) -> np.ndarray:
    """Sixteen different seconds, ``[16, 16000]``."""
    rng = np.random.default_rng(0)
    return np.stack([np.roll(voice, 900 * i)[:16000] + 0.001 * rng.normal(size=16000) for i in range(16)]).astype("f4")


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(16)[:, None] % 2 == 0


def replaced(waves, labels, share: float, seed=SEED, batch_size: int = 16) -> np.ndarray:
    labels = tf.constant(labels, tf.float32)
    return np.array(pseudo_spoofs.replace(tf.constant(waves), labels, share=share, seed=seed, batch_size=batch_size))


def processed(waves, seed=SEED) -> np.ndarray:
    return np.array(pseudo_spoofs.process(tf.constant(waves), tf.roll(waves, 1, axis=0), seed=seed))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 4), (1.0, 8)])
def test_a_share_of_the_spoofs_is_replaced_and_no_bonafide(share, expected, waves, labels):
    changed = (replaced(waves, labels, share) != waves).any(axis=1)
    assert not changed[labels[:, 0]].any()
    assert changed.sum() == expected


def test_the_seed_decides(waves, labels):
    np.testing.assert_array_equal(replaced(waves, labels, 0.5), replaced(waves, labels, 0.5))
    assert not np.array_equal(replaced(waves, labels, 0.5), replaced(waves, labels, 0.5, tf.constant([0, 8])))


@pytest.mark.parametrize("bonafide", [0, 16, 3])
def test_any_mixture_of_classes_will_do(bonafide, waves):
    labels = np.arange(16)[:, None] < bonafide
    changed = (replaced(waves, labels, 1.0) != waves).any(axis=1)
    assert changed.sum() == min(bonafide, 16 - bonafide)


def test_copies_are_as_loud_as_their_originals_and_within_full_scale(waves):
    made = processed(waves)
    assert np.abs(made).max() <= 1
    np.testing.assert_allclose((made**2).mean(axis=1), (waves**2).mean(axis=1), rtol=0.25)


def test_methods_take_turns_and_the_seed_decides_which_begins(monkeypatch, waves):
    marks = [lambda clip, *_, mark=mark: tf.one_hot([mark] * len(clip), 16000) for mark in range(7)]
    monkeypatch.setattr(pseudo_spoofs, "METHODS", marks)
    for clips in (1, 3, 5, 16):
        turns = processed(waves[:clips]).argmax(axis=1)
        np.testing.assert_array_equal(turns, (turns[0] + np.arange(clips)) % 7)
    assert {processed(waves[:1], tf.constant([0, 1000 * step])).argmax() for step in range(40)} == set(range(7))


def test_each_row_is_what_the_method_of_its_turn_makes_of_it(waves):
    made, others = processed(waves), np.roll(waves, 1, axis=0)

    def alike(begin: int) -> bool:
        for number, method in enumerate(pseudo_spoofs.METHODS):
            mine = [row for row in range(16) if (begin + row) % 7 == number]
            given = [*mine, 15, 15][:3]  # as many rows for each method
            own = SEED + pseudo_spoofs.SEEDS_A_METHOD * (number + 1)
            expected = np.array(method(tf.constant(waves[given]), tf.constant(others[given]), own))
            if any(np.corrcoef(made[row], wave)[0, 1] < 0.999 for row, wave in zip(mine, expected, strict=False)):
                return False
        return True

    assert sum(alike(begin) for begin in range(7)) == 1


def test_a_few_clips_are_processed_as_each_method_does_by_itself(waves):
    made = processed(waves[:1])
    expected = [
        method(tf.constant(waves[:1]), tf.constant(waves[:1]), SEED + pseudo_spoofs.SEEDS_A_METHOD * (number + 1))
        for number, method in enumerate(pseudo_spoofs.METHODS)
    ]
    assert sum(np.corrcoef(made[0], one[0])[0, 1] > 0.999 for one in expected) == 1


def test_a_smaller_last_batch_is_replaced_as_a_whole_one(waves, labels):
    changed = (replaced(waves[:6], labels[:6], 1.0) != waves[:6]).any(axis=1)
    np.testing.assert_array_equal(changed, ~labels[:6, 0])


def test_xla_compiles_it(monkeypatch, waves, labels):
    """Shapes that depend on labels or draws would keep it from that; the numbers that it draws are others."""
    monkeypatch.setattr(pseudo_spoofs, "METHODS", [lambda clip, other, seed: 0.5 * clip] * 7)
    compiled = tf.function(pseudo_spoofs.replace, jit_compile=True)
    settings = {"share": 0.5, "seed": SEED, "batch_size": 16}
    made = np.array(compiled(tf.constant(waves), tf.constant(labels, tf.float32), **settings))
    changed = (made != waves).any(axis=1)
    assert changed.sum() == 4
    assert not changed[labels[:, 0]].any()


def test_each_copy_is_of_the_clip_in_its_place(monkeypatch, waves):
    monkeypatch.setattr(pseudo_spoofs, "METHODS", [lambda clip, other, seed: 0.5 * clip] * 7)
    for clips in (1, 5, 16):
        made = processed(waves[:clips])
        np.testing.assert_allclose(made, waves[:clips], rtol=1e-4, atol=1e-6)


def test_no_two_copies_draw_alike(monkeypatch, waves):
    monkeypatch.setattr(pseudo_spoofs, "METHODS", [lambda clip, _, seed: tf.random.stateless_normal(clip.shape, seed)])
    made = processed(waves)
    assert np.abs(np.corrcoef(made) - np.eye(16)).max() < 0.1


def test_the_excitation_is_that_of_another_clip(waves):
    def swapped(others):
        return np.array(pseudo_spoofs.swapped_excitation(tf.constant(waves[:2]), tf.constant(others), SEED))

    assert np.corrcoef(swapped(waves[2:4])[0], swapped(waves[4:6])[0])[0, 1] < 0.9


def test_no_copy_gets_itself_as_the_other_clip(monkeypatch, waves, labels):
    pairs = []
    keep = lambda clips, others, seed: pairs.extend(zip(clips, others, strict=True)) or clips  # noqa: E731
    monkeypatch.setattr(pseudo_spoofs, "METHODS", [keep])
    replaced(waves, labels, 1.0)
    assert len(pairs) == 8
    assert not any(np.array_equal(clip, other) for clip, other in pairs)
    assert all((waves[labels[:, 0]] == np.array(other)).all(axis=1).any() for _, other in pairs)


def level_db(wave: np.ndarray) -> np.ndarray:
    return 10 * np.log10((wave[:15680].reshape(-1, 320) ** 2).mean(axis=1) + 1e-8)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_a_method_changes_the_wave_and_keeps_its_syllables(method, waves):
    t = np.arange(16000) / SAMPLE_RATE_HZ
    syllables = (waves * np.clip(np.sin(2 * np.pi * 2 * t), 0.05, 1)).astype("f4")
    made = np.array(method(tf.constant(syllables), tf.roll(syllables, 1, axis=0), SEED))
    assert made.shape == syllables.shape
    assert np.isfinite(made).all()
    for ours, original in zip(made, syllables, strict=True):
        assert np.corrcoef(ours, original)[0, 1] < 0.999
        assert np.corrcoef(level_db(ours), level_db(original))[0, 1] > 0.6


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_silence_stays_finite(method):
    assert np.isfinite(np.array(method(tf.zeros((2, 8000)), tf.zeros((2, 8000)), SEED))).all()


def test_the_trained_model_is_the_model_given(waves, labels):
    keras.utils.set_random_seed(0)
    waves = waves[:, :8000]
    x = keras.Input((8000,))
    inner = keras.Model(x, keras.layers.Dense(1, name="logit")(x))
    outer = PseudoSpoofing(inner, share=0.5, seed=0, batch_size=8)
    outer.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    before = inner.predict(waves, verbose=0)
    np.testing.assert_array_equal(outer.predict(waves, verbose=0), before)
    outer.fit(waves, labels.astype("f4"), batch_size=8, verbose=0)
    assert not np.array_equal(inner.predict(waves, verbose=0), before)
    np.testing.assert_array_equal(outer.predict(waves, verbose=0), inner.predict(waves, verbose=0))
