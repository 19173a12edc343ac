"""The shortcut audit finds what it looks for and nothing else."""

import numpy as np
import pytest

from pipeline import shortcuts
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.shortcuts import FEATURES


def measured(wave: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, shortcuts.features(wave), strict=True))


def noise(seconds: float, rms: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, rms, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def test_features_of_a_burst_between_silences():
    values = measured(np.concatenate([noise(0.3, 1e-4), noise(1.0), noise(0.5, 1e-4)]))
    assert values["duration_s"] == pytest.approx(1.8)
    assert values["level_dbfs"] == pytest.approx(-20, abs=0.3)
    assert values["leading_silence_s"] == pytest.approx(0.3, abs=0.011)
    assert values["trailing_silence_s"] == pytest.approx(0.5, abs=0.011)


def test_roll_off_is_the_upper_edge_of_the_band():
    spectrum = np.fft.rfft(noise(2.0))
    spectrum[np.fft.rfftfreq(2 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ) > 3000] = 0
    assert measured(np.fft.irfft(spectrum))["roll_off_hz"] == pytest.approx(2970, abs=30)


def test_int16_measures_as_float_does():
    wave = noise(1.0)
    np.testing.assert_allclose(
        shortcuts.features(np.rint(wave * 32768).astype(np.int16)), shortcuts.features(wave), rtol=1e-3
    )


def trials(shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Forty speakers with ten trials each; attack B lasts longer by so many standard deviations."""
    rng = np.random.default_rng(2)
    labels = np.tile([True, False], 200)
    attacks = np.where(labels, "-", np.where(np.arange(400) % 4 == 1, "A", "B"))
    table = rng.normal(size=(400, len(FEATURES)))
    table[attacks == "B", 0] += shift
    return table, labels, np.repeat([f"s{i}" for i in range(40)], 10), attacks


def test_a_shortcut_of_one_attack_is_found_and_named():
    findings = {f.name: f for f in shortcuts.audit(*trials(3.0))}
    assert set(findings) == {"all", "A", "B"}
    assert findings["B"].low > 0.9
    assert findings["A"].low < 0.65
    assert findings["B"].low < findings["B"].auc < findings["B"].high
    assert (findings["all"].spoof_trials, findings["A"].spoof_trials) == (200, 100)


def test_without_the_feature_the_shortcut_is_gone():
    for finding in shortcuts.audit(*trials(3.0), without=("duration_s",)):
        assert finding.low < 0.6


def test_classes_alike_are_not_told_apart():
    assert shortcuts.audit(*trials(0.0))[0].auc == pytest.approx(0.5, abs=0.08)
