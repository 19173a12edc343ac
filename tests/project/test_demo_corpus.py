"""Demo corpus, built from Debian's packages: its contents, and no shortcut to its spoofs.

It is built once under the project's ``artifacts/`` and kept there; without apt these tests fail.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import corpora, preprocess
from pipeline.config import SAMPLE_RATE_HZ, CorpusConfig, preset
from pipeline.corpora import demo
from pipeline.corpora.demo import channel
from pipeline.store import shortcuts
from pipeline.store.manifest import SUBSETS
from pipeline.store.store import Store
from tests.support.asvspoof_tree import tree

ROOT = Path(__file__).resolve().parents[2]


FAMILIES = {"E00-P05-R00": "vocoder", "E00-P06-R00": "vocoder", "E00": "tts"}


def attack_family(attack: str) -> str:
    """tts, vocoder or replay."""
    return FAMILIES.get(attack, FAMILIES.get(attack[:3], "replay"))


@pytest.fixture(scope="module")
def folder() -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOOF_ARTIFACTS", str(ROOT / "artifacts"))
        return demo.ensure()


@pytest.fixture(scope="module")
def table(folder) -> pd.DataFrame:
    """Manifest with the samples, length and family of attack of each clip."""
    table, rejected = corpora.read(CorpusConfig(corpus="demo", data_dir=str(folder)))
    assert rejected == []
    waves = [soundfile.read(path, dtype="int16")[0] for path in table["path"]]
    family = [attack_family(attack) if attack != "-" else "" for attack in table["attack"]]
    return table.assign(wave=waves, duration_s=[len(wave) / SAMPLE_RATE_HZ for wave in waves], family=family)


@pytest.fixture(scope="module")
def bonafide(table) -> pd.DataFrame:
    return table[table["label"] == "bonafide"]


@pytest.fixture(scope="module")
def spoof(table) -> pd.DataFrame:
    return table[table["label"] == "spoof"]


def test_corpus_has_its_stated_size_and_variety(bonafide, spoof):
    assert len(bonafide) >= 400
    assert len(spoof) >= 500
    assert bonafide["speaker"].nunique() >= 30
    assert bonafide["language"].nunique() >= 15
    assert bonafide.groupby("speaker").size().max() <= 25
    assert set(spoof["family"]) == {"tts", "vocoder", "replay"}
    assert spoof[spoof["family"] == "replay"]["attack"].nunique() >= 6


def test_clips_last_one_to_six_seconds_and_eval_has_enough_of_enough_speakers(table, bonafide):
    assert table["duration_s"].between(1, 6).all()
    in_eval = bonafide[bonafide["split"] == "eval"]
    assert (in_eval.groupby("speaker")["duration_s"].sum() >= 20).sum() >= 8


def test_no_speaker_language_or_recording_crosses_subsets(table, bonafide):
    assert (table.groupby("speaker")["split"].nunique() == 1).all()
    languages = bonafide["language"].str.split("-").str[0]
    assert (bonafide.groupby(languages)["split"].nunique() == 1).all()
    assert len({wave.tobytes() for wave in table["wave"]}) == len(table)


def test_copies_follow_their_human(spoof, bonafide):
    copies = spoof[spoof["family"].isin(["vocoder", "replay"])]
    assert set(copies["speaker"]) <= set(bonafide["speaker"])
    assert not set(spoof[spoof["family"] == "tts"]["speaker"]) & set(bonafide["speaker"])


def test_eval_has_unseen_attacks(spoof):
    attacks = {subset: set(spoof[spoof["split"] == subset]["attack"]) for subset in SUBSETS}
    unseen = attacks["eval"] - attacks["train"] - attacks["dev"]
    assert unseen == {"E00-P04-R00", "E00-P06-R00", "E03-P14-R01", "E03-P13-R03"}
    assert attacks["dev"] < attacks["train"]


@pytest.mark.parametrize("subset", SUBSETS)
def test_classes_are_alike_in_language_length_band_and_joins(table, subset):
    """Within a subset: half the summed differences of the shares (total variation) for languages, else means."""
    part = table[table["split"] == subset]
    real, fake = (part[part["label"] == label] for label in ("bonafide", "spoof"))
    shares = [rows["language"].value_counts(normalize=True) for rows in (real, fake)]
    assert shares[0].sub(shares[1], fill_value=0).abs().sum() / 2 < 0.3
    assert set(real["language"]) == set(fake["language"])
    assert abs(real["duration_s"].mean() - fake["duration_s"].mean()) < 0.15
    for share in (
        lambda rows: (rows["phrase"] == "S01").mean(),
        lambda rows: np.mean([channel.is_narrow(wave.astype(np.float64)) for wave in rows["wave"]]),
    ):
        assert abs(share(real) - share(fake)) < 0.1


def test_only_the_attack_separates_the_classes(table):
    """Shortcut audit: AUC below 0.60 over all attacks, and no attack's interval wholly above 0.65.

    A replay's narrow band is its physics, so bandwidth is left out of the audit of replays.
    """
    audited = ["level_dbfs", "roll_off_hz", "leading_silence_s", "trailing_silence_s"]
    values = pd.DataFrame([shortcuts.measure(wave / np.float32(32768)) for wave in table["wave"]])[audited]
    clips = pd.concat([table, values], axis=1)
    found, without = (
        shortcuts.examine(given).query("kind == 'all together'").set_index("name")
        for given in (clips, clips.drop(columns="roll_off_hz"))
    )
    assert found.loc["all", "auc"] < 0.60
    assert len(found) == len(without) == 13
    lows = found["low"].drop("all"), without["low"].drop("all")
    assert lows[0][[attack_family(name) != "replay" for name in lows[0].index]].max() < 0.65
    assert lows[1].max() < 0.65


def test_data_md_names_every_source_and_its_licence(folder):
    lines = [line.split("|")[1:-1] for line in (folder / "DATA.md").read_text().splitlines()]
    sources = {cells[0].strip(): cells[-1].strip() for cells in lines if len(cells) == 5}
    for package in ("klettres-data", "ktuberling-data", "asterisk-core-sounds-en-g722", "espeak-ng", "flite"):
        assert sources[package], package


@pytest.mark.usefixtures("tracking_store")
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_hand_made_trees_with_its_audio_become_a_store(tmp_path, folder, version):
    """Protocol lines in the format of the real lists, over real speech, give the Store their labels."""
    tree(tmp_path / "tree", version=version, audio=folder)
    config = preset("smoke").replace(corpus="asvspoof2017", data_dir=str(tmp_path / "tree"))
    store = Store.open(preprocess.ensure(config))
    rows = store.manifest.set_index("utterance_id")
    assert len(rows) == 7
    assert rows.loc["T_1000001", "label"] == rows.loc["E_1000001", "label"] == "bonafide"
    assert rows.loc["T_1001509", "attack"] == "E02-P02-R04"
    assert (rows.loc["E_1000002", "label"], rows.loc["E_1000002", "split"]) == ("spoof", "eval")
    assert (rows["duration_s"] >= 1).all()
