"""The demo corpus on disk: ASVspoof 2017's layout, read by its reader, and DATA.md."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.corpora.demo import fetch, protocol
from pipeline.corpora.demo.protocol import Entry

ENTRIES = [
    Entry("train", "klettres_da_0", ("-", "-", "-"), "S01"),
    Entry("train", "klettres_da_0", ("E01", "P11", "R01"), "S01"),
    Entry("dev", "asterisk_it_carlo", ("-", "-", "-"), "S02"),
    Entry("dev", "espeak_it_m4", ("E00", "P01", "R00"), "S02"),
    Entry("eval", "ktuberling_en_0", ("-", "-", "-"), "S02"),
    Entry("eval", "festival-diphone_en_kal-diphone", ("E00", "P02", "R00"), "S02"),
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for number, entry in enumerate(ENTRIES):
        protocol.write_clip(tmp_path, entry.subset, number, np.full(20000, number, np.int16))
    protocol.write_lists(tmp_path, ENTRIES)
    return tmp_path


@pytest.fixture
def packages(tmp_path: Path) -> fetch.Packages:
    names = (*fetch.RECORDINGS, *fetch.ENGINES, *fetch.VOICES, "libsonic0")
    return fetch.Packages(tmp_path / "tree", dict.fromkeys(names, "1.0-1"))


def test_lists_have_the_seven_columns_of_asvspoof(written):
    lines = (written / "protocol_V2" / "ASVspoof2017_V2_train.trn.txt").read_text().splitlines()
    assert lines == [
        "T_1000000.wav genuine klettres_da_0 S01 - - -",
        "T_1000001.wav spoof klettres_da_0 S01 E01 P11 R01",
    ]


def test_the_reader_returns_what_was_written(written):
    table, rejected = corpora.read(CorpusConfig(corpus="demo", data_dir=str(written)))
    assert rejected == []
    assert list(table["split"]) == [e.subset for e in ENTRIES]
    assert list(table["label"]) == ["bonafide", "spoof"] * 3
    assert list(table["speaker"]) == [e.speaker for e in ENTRIES]
    assert list(table["attack"][1::2]) == ["E01-P11-R01", "E00-P01-R00", "E00-P02-R00"]
    assert list(table["attack_name"][:2]) == ["", "replay loudspeaker 1 in room 1"]
    assert set(table["corpus"]) == {"demo"}
    assert list(table["language"]) == ["da", "da", "it", "it", "en", "en"]


def test_clips_are_int16_mono_at_16_khz(written):
    samples, rate_hz = soundfile.read(written / "ASVspoof2017_V2_dev" / "D_1000003.wav", dtype="int16")
    assert rate_hz == 16000
    np.testing.assert_array_equal(samples, np.full(20000, 3, np.int16))
    assert soundfile.info(written / "ASVspoof2017_V2_dev" / "D_1000003.wav").subtype == "PCM_16"


def test_data_md_counts_by_subset_attack_speaker_and_package(packages):
    text = protocol.about(ENTRIES, packages, {("E00", "P01", "R00"): "espeak"}, 1)
    for line in (
        "# Demo corpus, recipe 1",
        "| train | 1 | 1 | 1 |",
        "| espeak | E00-P01-R00 | 0 | 1 | 0 |",
        "| klettres_da_0 | train | 1 | 1 |",
        "| klettres-data | 1.0-1 | 1 | 1 | see the file |",
        "| asterisk-core-sounds-it-g722 | 1.0-1 | 1 | 0 | see the file |",
        "| festvox-kallpc16k | 1.0-1 | 0 | 1 | see the file |",
        "audible: libsonic0 1.0-1.",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Format: x\nLicense: GPL-2+\n words\n\nLicense: CC0\n", ["CC0", "GPL-2+"]),
        ("see /usr/share/common-licenses/GPL-2.\nor the GPL", ["GPL-2"]),
        ("to use this software without\n   restriction, including", ["X11-style"]),
        ("no more than words", []),
    ],
)
def test_licences_come_from_the_copyright_file(packages, text, names):
    file = packages.tree / "usr" / "share" / "doc" / "flite" / "copyright"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert packages.licences("flite") == names
    assert packages.licences("festival") == []
