"""Shortcut audit: measurements of clips, and findings of each kind of shortcut and of no other."""

import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.store import shortcuts
from pipeline.store.manifest import FILE_COLUMNS
from pipeline.store.store import Store


def noise(seconds: float, rms: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, rms, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def test_level_and_ends_of_a_burst_between_silences():
    values = shortcuts.measure(np.concatenate([noise(0.3, 1e-4), noise(1.0), noise(0.5, 1e-4)]))
    assert values["level_dbfs"] == pytest.approx(-20, abs=0.3)
    assert values["leading_silence_s"] == pytest.approx(0.3, abs=0.011)
    assert values["trailing_silence_s"] == pytest.approx(0.5, abs=0.011)


def test_roll_off_is_the_upper_edge_of_the_band():
    spectrum = np.fft.rfft(noise(2.0))
    spectrum[np.fft.rfftfreq(2 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ) > 3000] = 0
    assert shortcuts.measure(np.fft.irfft(spectrum))["roll_off_hz"] == pytest.approx(2970, abs=30)


def test_silences_are_measured_without_the_speech():
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


def measured(seed: int = 0) -> pd.DataFrame:
    """Measurements in which nothing differs between the classes."""
    rng = np.random.default_rng(seed)
    labels = np.tile(["bonafide", "spoof"], 200)
    names = {name for columns in shortcuts.KINDS.values() for name in columns}
    table = pd.DataFrame({name: rng.normal(size=400) for name in sorted(names)})
    return table.assign(
        file_format="WAV PCM_16",
        file_rate_hz=16000,
        file_channels=1,
        file_kbit_s=0.0,
        label=labels,
        attack=np.where(labels == "bonafide", "-", np.where(np.arange(400) % 4 == 1, "A", "B")),
        speaker=np.repeat([f"s{i}" for i in range(40)], 10),
        utterance_id=[f"u{i}" for i in range(400)],
    )


def test_each_kind_is_found_by_itself_and_by_all_together():
    spoof = (measured()["label"] == "spoof").to_numpy()
    clean = shortcuts.examine(measured())
    assert list(clean) == ["kind", "name", "auc", "low", "high", "spoof_trials"]
    assert set(clean["kind"]) == {*shortcuts.KINDS, "all together"}
    assert "not audited" not in shortcuts.text(clean)
    assert shortcuts.warnings(clean) == []
    same = clean[clean["kind"] == "file format"]
    assert same[["auc", "low", "high"]].to_numpy().tolist() == [[0.5, 0.5, 0.5]] * 3
    for kind, column, values in (
        ("silences", "silence_dbfs", measured()["silence_dbfs"] + 4 * spoof),
        ("duration", "duration_s", measured()["duration_s"] + 4 * spoof),
        ("file format", "file_format", np.where(spoof, "OGG VORBIS", "WAV PCM_16")),
    ):
        found = shortcuts.examine(measured().assign(**{column: values}))
        strong = found[(found["name"] == "all") & (found["low"] > 0.9)]
        assert list(strong["kind"]) == [kind, "all together"]
        warned = shortcuts.warnings(found)
        assert len(warned) == 2
        assert warned[0].startswith(f"Shortcut: without the voice, the classes differ in {kind} for")
        assert "all attacks together, A, B" in warned[0]
        assert shortcuts.mlflow_metrics(found)[f"shortcuts/{kind.replace(' ', '_')}/auc_low"] > 0.9


def test_shortcut_of_one_attack_is_found_and_named():
    attacks = measured()["attack"]
    found = shortcuts.examine(measured().assign(duration_s=lambda t: t["duration_s"] + 3 * (attacks == "B")))
    rows = found[found["kind"] == "duration"].set_index("name")
    assert set(rows.index) == {"all", "A", "B"}
    assert rows.loc["A", "low"] < 0.65 < 0.9 < rows.loc["B", "low"] < rows.loc["B", "auc"] < rows.loc["B", "high"]
    assert rows["spoof_trials"].to_dict() == {"all": 200, "A": 100, "B": 100}
    without = shortcuts.examine(measured()[["label", "attack", "speaker", "utterance_id", "level_dbfs"]])
    assert set(without["kind"]) == {"level", "all together"}
    assert without["low"].max() < 0.6


def test_stores_without_recorded_formats_are_audited_without_them():
    found = shortcuts.examine(measured().drop(columns=list(FILE_COLUMNS)))
    assert set(found["kind"]) == {"silences", "duration", "level", "bandwidth", "all together"}
    assert shortcuts.NO_FORMAT in shortcuts.text(found)


def test_one_class_or_one_speaker_has_no_findings():
    assert shortcuts.examine(measured().assign(label="spoof")).empty
    assert shortcuts.examine(measured().assign(speaker="one")).empty
    assert "not possible" in shortcuts.text(shortcuts.examine(measured().assign(speaker="one")))


def test_an_attack_by_the_only_bonafide_speaker_is_left_out():
    table = measured()[["label", "attack", "utterance_id", "level_dbfs"]]
    table = table.assign(speaker=np.where(table["attack"] == "B", "tts", "me"))
    assert set(shortcuts.examine(table)["name"]) == {"all", "B"}


def test_a_store_is_audited_once_without_its_sources_and_need_not_be_writable(synthetic_store, tmp_path, monkeypatch):
    shutil.copytree(synthetic_store.folder, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert set(store.manifest["file_format"]) == {"WAV PCM_16"}
    store.manifest["path"] = "/moved" + store.manifest["path"]
    before = {p.name: p.read_bytes() for p in store.folder.iterdir() if p.is_file() and p.name != shortcuts.FILENAME}
    found = shortcuts.of(store)
    assert set(found["kind"]) == {*shortcuts.KINDS, "all together"}
    assert {p.name: p.read_bytes() for p in store.folder.iterdir() if p.is_file() and p.name in before} == before
    with monkeypatch.context() as patch:
        patch.setattr(shortcuts, "measure", None)  # would be called to audit again
        pd.testing.assert_frame_equal(shortcuts.of(store), found)
    (store.folder / shortcuts.FILENAME).unlink()
    (store.folder / f"{shortcuts.FILENAME}.part").mkdir()  # prevents writing, even for root
    pd.testing.assert_frame_equal(shortcuts.of(store), found)
    assert not (store.folder / shortcuts.FILENAME).exists()
