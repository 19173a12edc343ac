"""The demo corpus stays what version 1 was: texts, clips and replays of fixed seeds, as recorded from that version."""

import hashlib

import numpy as np
import pytest

from pipeline.corpora import demo
from pipeline.corpora.demo import engines, humans, plan, replay

TEXTS = {"da": "cd321b574bf7b4d0", "ar": "e4c7bad01e4a7006", "fi": "dbd6a90ed4775d85"}
"""First digits of the SHA-256 of a voice's texts."""
CLIP_SAMPLES = [49537, 36516, 67757, 55065, 60849, 64808, 33392]
REPLAYED = [-0.03571071, 0.4291458, 0.18187372]


def test_texts_clips_and_replays_of_version_1_have_not_changed():
    assert demo.RECIPE_VERSION == 1
    for language, digest in TEXTS.items():
        texts = engines.texts(2017, engines.Synthesiser("espeak", f"{language}+m1", language))
        assert hashlib.sha256(repr(texts).encode()).hexdigest().startswith(digest)
    rng = np.random.default_rng(0)
    voice = humans.Voice("klettres", "da", "0")
    recordings = [
        humans.Recording(voice, f"{i}.ogg", rng.normal(0, 0.1, int((0.3 + 0.01 * i) * 16000)).astype(np.float32), False)
        for i in range(40)
    ]
    clips = plan.human_clips(recordings, "train", np.random.default_rng(1))
    assert [len(clip.wave) for clip in clips] == CLIP_SAMPLES
    wave = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    replayed = replay.replay(wave, ("E01", "P11", "R01"), np.random.default_rng(2))
    assert replayed[[100, 5000, 15000]] == pytest.approx(REPLAYED, abs=1e-5)
