"""Scores over time: the same however a recording is cut into blocks, those of the detector, and bounded in memory."""

import numpy as np
import pytest

from pipeline.audio import speech
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring import parties
from pipeline.scoring.detector import Detector
from pipeline.scoring.timeline import OUTLINE_SAMPLES, Extent, SpeechFinder, WindowScorer
from tests.support.talk import talk

CLIP = 8000
"""Samples of the tiny model's window."""
POINT = OperatingPoint(0.0, 0.5)


@pytest.fixture
def detector(make_model_folder) -> Detector:
    return Detector(make_model_folder())


def blocks(wave, size):
    return [wave[first : first + size] for first in range(0, len(wave), size)]


def scored(detector, wave, size, hop_s=0.0):
    (party,) = parties.find(
        lambda: (block[:, None] for block in blocks(wave, size)), detector, mixed=True, point=POINT, hop_s=hop_s
    )
    return party


SILENCE = np.zeros(20123, np.float32)
CALL = np.concatenate([SILENCE, talk(), SILENCE, talk(seed=3), SILENCE])
"""Speech between silences, with a pause in it."""


@pytest.mark.parametrize("size", [701, 5000, 65536])
def test_a_recording_in_blocks_is_scored_as_the_detector_scores_the_whole(detector, size):
    party, whole = scored(detector, CALL, size), detector.score_windows(CALL)
    np.testing.assert_array_equal(party.scored.starts, whole.starts)
    np.testing.assert_allclose(party.scored.logits, whole.logits, atol=1e-5)
    np.testing.assert_array_equal(party.scored.counted, whole.counted)
    assert 0 < whole.counted.sum() < len(whole.counted), "windows in the pause do not count"
    np.testing.assert_allclose(party.scored.speech.chunks, whole.speech.chunks, atol=1e-4)
    assert (party.scored.speech.start, party.scored.speech.end) == (whole.speech.start, whole.speech.end)
    row = detector.whole_row("", whole, POINT)
    assert (party.row.label, party.row.worst_start_s) == (row.label, row.worst_start_s)
    assert party.row.score == pytest.approx(row.score, abs=1e-5)


def test_segments_can_be_sought_at_another_hop(detector):
    party = scored(detector, CALL, 5000, hop_s=0.1)
    starts = party.scored.starts[party.scored.located]
    assert set(np.diff(starts)[:-1]) == {1600}
    assert starts[-1] == party.scored.speech.end - CLIP


def test_a_recording_shorter_than_a_window_is_scored_as_a_whole(detector, voice):
    party = scored(detector, voice[:3000], 1000)
    expected = float(detector.model.calibration.apply(detector.utterance_logit(voice[:3000])))
    assert party.scored.scores.tolist() == pytest.approx([expected], abs=1e-5)


def test_the_outline_holds_every_extreme(detector, voice):
    found = scored(detector, voice[:20123], 999).outline
    parts = [voice[first : min(first + OUTLINE_SAMPLES, 20123)] for first in range(0, 20123, OUTLINE_SAMPLES)]
    np.testing.assert_array_equal(found, [[part.min(), part.max()] for part in parts])


def test_a_channel_of_digital_silence_is_a_party_without_speech(detector):
    silent, spoken = parties.find(
        lambda: (np.stack([np.zeros_like(block), block], axis=1) for block in blocks(CALL, 5000)),
        detector,
        mixed=False,
        point=POINT,
    )
    whole = detector.whole_row("", detector.score_windows(np.zeros_like(CALL)), POINT)
    assert (silent.channel, silent.row.label, silent.speech) == (1, "no_speech", [])
    assert silent.row.score == pytest.approx(whole.score, abs=1e-5)
    assert (spoken.channel, spoken.row.label != "no_speech") == (2, True)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_sounds_is_found_in_blocks_as_in_the_whole(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        wave = rng.normal(size=200).astype(np.float32) * 10 ** rng.uniform(-3, 0, 200).astype(np.float32)
        levels = Extent()
        for block in blocks(wave, size):
            levels.add(block)
        loud = np.flatnonzero(np.abs(wave) >= np.float32(speech.SOUNDING * np.abs(wave).max()))
        assert levels.sounding == (loud[0], loud[-1] + 1)


def test_no_more_is_held_than_a_few_windows(detector):
    rng, levels, samples = np.random.default_rng(0), Extent(), 40 * 20000
    noise = [rng.normal(0, 0.1, 20000).astype(np.float32) for _ in range(40)]
    for block in noise:
        levels.add(block)
    assert len(levels._rising) + len(levels._falling) < 100
    finder = SpeechFinder(levels)
    for block in noise:
        finder.add(block)
    found, most = finder.finish(), 0
    scorer = WindowScorer(detector, found, detector.plan(found))
    for block in noise:
        scorer.add(block)
        most = max(most, len(scorer._held))
    assert most < 16 * 4000 + 2 * CLIP + 20000
    assert len(scorer.finish()[0]) == (samples - CLIP) // 4000 + 1
