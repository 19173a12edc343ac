"""Threshold for spoofed segments: chosen on calls, which are scored once, and refused if none meets the rate."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import artifacts_dir
from pipeline.errors import ConfigError
from pipeline.evaluation import calls, segment_threshold
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from tests.support.made_windows import scored_windows
from tools import add_segments


def call(low: float, *, spoof: bool = True):
    """A call of a minute in windows of 1 s, high except for ten windows from 20 s on."""
    scores = 3 + np.sin(np.arange(60))
    scores[20:30] = low
    return scored_windows(scores, window_s=1.0, hop_s=1.0), (20.0, 30.0) if spoof else None


def test_the_threshold_of_the_best_recall_within_the_rate_is_chosen():
    # Two true segments at -3 and 0; one false at -1, which is one in four minutes.
    scored = [call(-3.0), call(0.0), call(-1.0, spoof=False), call(3.0, spoof=False)]
    strict, lax = (segment_threshold.choose(scored, most) for most in (10, 16))
    assert (strict.recall, strict.false_per_hour) == (0.5, 0.0)
    assert (lax.recall, lax.false_per_hour) == (1.0, pytest.approx(15))
    for point, expected in ((strict, [1, 0, 0, 0]), (lax, [1, 1, 1, 0])):
        assert [len(windows.spoofed_segments(threshold=point.threshold)) for windows, _ in scored] == expected


def test_a_rate_that_no_threshold_meets_is_refused_with_the_least_that_one_does():
    scored = [call(-3.0, spoof=False), call(-1.0)]
    with pytest.raises(ConfigError, match=r"--segments 10: .* none of 1 true ones is located; give 30 or more"):
        segment_threshold.choose(scored, 10)
    with pytest.raises(ConfigError, match="this model locates none"):
        segment_threshold.choose([call(3.0)], 10)


def test_calls_are_scored_once_and_resume(synthetic_store, make_model_folder, monkeypatch):
    detector, rows = Detector(make_model_folder()), synthetic_store.subset("dev")

    class Dying(Detector):
        def window_logits(self, batch):
            if len(list(artifacts_dir().glob("calls/*/*.npy"))) == 1:
                raise KeyboardInterrupt
            return super().window_logits(batch)

    with pytest.raises(KeyboardInterrupt):
        segment_threshold.score_calls(Dying(detector.model), synthetic_store, rows, calls=2)
    scored = segment_threshold.score_calls(detector, synthetic_store, rows, calls=2)
    assert len(list(artifacts_dir().glob("calls/*/*.npy"))) == 2
    monkeypatch.setattr(detector, "window_logits", lambda _: pytest.fail("scored again"))
    again = segment_threshold.score_calls(detector, synthetic_store, rows, calls=2)
    for (one, truth), (other, same), made in zip(
        scored, again, calls.splice(synthetic_store, rows, calls=2), strict=True
    ):
        assert truth == same == made.spoof_s
        expected = detector.scored(len(made.wave), one.speech, detector.plan(one.speech, hop_s=0.125), one.logits)
        assert one.starts.tolist() == other.starts.tolist() == expected.starts.tolist()
        np.testing.assert_array_equal(one.scores, other.scores)


def test_calls_need_both_kinds_of_whole_clips(synthetic_store):
    table = synthetic_store.manifest.assign(spoof_start_s="", spoof_end_s="")
    spoof = table["label"] == "spoof"
    table.loc[spoof, ["spoof_start_s", "spoof_end_s"]] = ["0.1", "0.2"]
    partly = dataclasses.replace(synthetic_store, manifest=table)
    with pytest.raises(ConfigError, match=rf"there are {int((~spoof).sum())} and 0: add recordings"):
        calls.material(partly, np.arange(len(table)))


def test_a_trained_model_gets_one_in_place(synthetic_store, make_model_folder, monkeypatch):
    monkeypatch.setattr(segment_threshold, "score_calls", lambda *_: [call(-3.0)])
    model = make_model_folder(dev_trials=synthetic_store.trials("dev"))
    chosen = add_segments.add(str(model.folder), synthetic_store, 10)
    assert ModelFolder.load(model.folder) == dataclasses.replace(model, segments=chosen)
    with pytest.raises(ConfigError, match="its dev trials are not those of tiny-2"):
        add_segments.add(str(make_model_folder("tiny-2").folder), synthetic_store, 10)
