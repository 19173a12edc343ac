"""The score over time: the same however a recording is cut into blocks, and bounded in memory."""

import numpy as np
import pytest

from pipeline.audio import speech
from pipeline.scoring.detector import Detector
from pipeline.scoring.timeline import OUTLINE_SAMPLES, Scorer

CLIP = 8000
"""Samples of the tiny model's window."""


@pytest.fixture
def detector(make_model_folder) -> Detector:
    return Detector(make_model_folder())


def heard(detector, wave, block, hop_s=0.1):
    scorer = Scorer(detector, hop_s=hop_s)
    for first in range(0, len(wave), block):
        scorer.add(wave[first : first + block])
    return scorer.finish()


@pytest.mark.parametrize("block", [701, 5000, 65536])
def test_every_window_is_scored_as_the_detector_scores_it(detector, voice, block):
    wave = np.concatenate([voice, voice[::-1], voice])[:90123]
    found = heard(detector, wave, block)
    starts = [*range(0, 90123 - CLIP, 1600), 90123 - CLIP]
    logits = detector.window_logits(np.stack([wave[start : start + CLIP] for start in starts]))
    np.testing.assert_allclose(found.scores, detector.model.calibration.apply(logits), atol=1e-5)
    np.testing.assert_allclose(found.times_s, (np.array(starts) + CLIP / 2) / 16000)
    assert (found.duration_s, found.window_s) == (90123 / 16000, 0.5)
    np.testing.assert_allclose(found.chunks, speech.probabilities(wave), atol=1e-5)
    expected = [speech.seconds(found.chunks, start, start + CLIP) for start in starts]
    np.testing.assert_allclose(found.speech_s, expected)


def test_a_recording_shorter_than_a_window_is_scored_as_a_whole(detector, voice):
    found = heard(detector, voice[:3000], 1000)
    assert found.scores.tolist() == pytest.approx(
        [float(detector.model.calibration.apply(detector.utterance_logit(voice[:3000])))], abs=1e-5
    )
    assert found.times_s.tolist() == [3000 / 2 / 16000]
    assert len(found.chunks) == 6


def test_the_outline_holds_every_extreme(detector, voice):
    found = heard(detector, voice[:20123], 999)
    parts = [voice[first : min(first + OUTLINE_SAMPLES, 20123)] for first in range(0, 20123, OUTLINE_SAMPLES)]
    np.testing.assert_array_equal(found.outline, [[part.min(), part.max()] for part in parts])


def test_no_more_is_held_than_a_few_windows(detector):
    scorer = Scorer(detector, hop_s=0.5)
    rng = np.random.default_rng(0)
    most = 0
    for _ in range(40):
        scorer.add(rng.normal(0, 0.1, 20000).astype(np.float32))
        most = max(most, len(scorer._held))
    assert most < 16 * 8000 + 2 * CLIP + 20000
    assert len(scorer.finish().scores) == (40 * 20000 - CLIP) // 8000 + 1
