"""The shortcut audit finds what it looks for and nothing else."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.store import shortcuts
from pipeline.store.shortcuts import FEATURES
from pipeline.store.store import Store


def described(wave: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, shortcuts.features(wave), strict=True))


def noise(seconds: float, rms: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, rms, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def test_features_of_a_burst_between_silences():
    values = described(np.concatenate([noise(0.3, 1e-4), noise(1.0), noise(0.5, 1e-4)]))
    assert values["duration_s"] == pytest.approx(1.8)
    assert values["level_dbfs"] == pytest.approx(-20, abs=0.3)
    assert values["leading_silence_s"] == pytest.approx(0.3, abs=0.011)
    assert values["trailing_silence_s"] == pytest.approx(0.5, abs=0.011)


def test_roll_off_is_the_upper_edge_of_the_band():
    spectrum = np.fft.rfft(noise(2.0))
    spectrum[np.fft.rfftfreq(2 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ) > 3000] = 0
    assert described(np.fft.irfft(spectrum))["roll_off_hz"] == pytest.approx(2970, abs=30)


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


def test_the_silences_are_what_is_left_without_the_speech():
    quiet = noise(0.5, 1e-4)
    values = shortcuts.measure(np.concatenate([quiet, noise(1.0), quiet]))
    assert values["silence_share"] == pytest.approx(0.5, abs=0.01)
    assert values["silence_dbfs"] == pytest.approx(-80, abs=0.3)
    assert sum(values[name] for name in shortcuts.BANDS) == pytest.approx(0, abs=1e-9)
    assert max(abs(values[name]) for name in shortcuts.BANDS) < 2  # white
    loud = np.concatenate([quiet, 10 * noise(1.0), quiet])
    assert [shortcuts.measure(loud)[name] for name in shortcuts.BANDS] == pytest.approx(
        [values[name] for name in shortcuts.BANDS]
    )
    without = shortcuts.measure(noise(1.0))
    assert {without[name] for name in shortcuts.SILENCES} == {0.0}


def test_files_are_told_by_codec_rate_and_bits(tmp_path):
    wave = noise(1.0)
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    soundfile.write(tmp_path / "a.flac", np.stack([wave, wave], axis=1), 8000)
    soundfile.write(tmp_path / "a.ogg", wave, 16000, format="OGG", subtype="VORBIS")
    (tmp_path / "a.txt").write_text("no audio")
    found = {name: shortcuts.measure_file(tmp_path / f"a.{name}") for name in ("wav", "flac", "ogg", "txt", "none")}
    assert found["wav"] == {"file_format": ".wav PCM_16", "file_rate_hz": 16000, "file_channels": 1, "file_kbit_s": 0}
    assert found["flac"] == {"file_format": ".flac PCM_16", "file_rate_hz": 8000, "file_channels": 2, "file_kbit_s": 0}
    size = (tmp_path / "a.ogg").stat().st_size
    assert found["ogg"]["file_format"] == ".ogg VORBIS"
    assert found["ogg"]["file_kbit_s"] == pytest.approx(8 * size / 1000)
    assert found["txt"]["file_format"] == found["none"]["file_format"] == ""


def measured(seed: int = 0) -> pd.DataFrame:
    """Measurements in which nothing differs between the classes."""
    rng = np.random.default_rng(seed)
    labels = np.tile(["bonafide", "spoof"], 200)
    names = {name for columns in shortcuts.KINDS.values() for name in columns}
    table = pd.DataFrame({name: rng.normal(size=400) for name in sorted(names)})
    return table.assign(
        file_format=".wav PCM_16",
        file_rate_hz=16000.0,
        file_channels=1.0,
        file_kbit_s=0.0,
        label=labels,
        attack=np.where(labels == "bonafide", "-", np.where(np.arange(400) % 4 == 1, "A", "B")),
        speaker=np.repeat([f"s{i}" for i in range(40)], 10),
        utterance_id=[f"u{i}" for i in range(400)],
    )


def test_each_kind_is_found_alone_and_by_all_together():
    spoof = (measured()["label"] == "spoof").to_numpy()
    clean = shortcuts.examine(measured())
    assert list(clean) == ["kind", "name", "auc", "low", "high", "spoof_trials"]
    assert set(clean["kind"]) == set(shortcuts.KINDS)
    assert shortcuts.warnings(clean) == []
    same = clean[clean["kind"] == "file format"]
    assert same[["auc", "low", "high"]].to_numpy().tolist() == [[0.5, 0.5, 0.5]] * 3
    for kind, column, values in (
        ("silences", "silence_dbfs", measured()["silence_dbfs"] + 4 * spoof),
        ("duration", "duration_s", measured()["duration_s"] + 4 * spoof),
        ("file format", "file_format", np.where(spoof, ".ogg VORBIS", ".wav PCM_16")),
    ):
        found = shortcuts.examine(measured().assign(**{column: values}))
        strong = found[(found["name"] == "all") & (found["low"] > 0.9)]
        assert list(strong["kind"]) == [kind, "all together"]
        warned = shortcuts.warnings(found)
        assert len(warned) == 2
        assert warned[0].startswith(f"Shortcut: {kind} tell")
        assert "all attacks together, A, B" in warned[0]
        assert shortcuts.mlflow_metrics(found)[f"shortcuts/{kind.replace(' ', '_')}/auc_low"] > 0.9


def test_what_cannot_be_audited_has_no_findings():
    assert shortcuts.examine(measured().assign(label="spoof")).empty
    assert shortcuts.examine(measured().assign(speaker="one")).empty
    assert "not possible" in shortcuts.text(shortcuts.examine(measured().assign(speaker="one")))


def test_a_store_is_audited_once_and_not_written_to_where_that_is_forbidden(synthetic_store, tmp_path, monkeypatch):
    shutil.copytree(synthetic_store.folder, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    before = {p.name: p.read_bytes() for p in store.folder.iterdir() if p.is_file() and p.name != shortcuts.FILENAME}
    found = shortcuts.of(store)
    assert set(found["kind"]) == set(shortcuts.KINDS)
    assert {p.name: p.read_bytes() for p in store.folder.iterdir() if p.is_file() and p.name in before} == before
    with monkeypatch.context() as patch:
        patch.setattr(shortcuts, "measure", None)  # it would be called to make them again
        pd.testing.assert_frame_equal(shortcuts.of(store), found)
    (store.folder / shortcuts.FILENAME).unlink()
    (store.folder / f"{shortcuts.FILENAME}.part").mkdir()  # what stands in the way of writing, even for root
    pd.testing.assert_frame_equal(shortcuts.of(store), found)
    assert not (store.folder / shortcuts.FILENAME).exists()
