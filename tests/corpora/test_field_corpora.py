"""Readers of the field's corpora, each on a small tree in the real layout: labels, counts, damage."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from pipeline import corpora
from pipeline.config import CORPORA, CorpusConfig
from pipeline.corpora import asvspoof2021
from pipeline.errors import CorpusError
from pipeline.store import manifest, splits
from tests.support.corpus_trees import ASVSPOOF5, CODECFAKE, LA_2021, META, TREES, tree, write_noise


def read(corpus: str, root: Path, parts: str = ""):
    return corpora.read(CorpusConfig(corpus=corpus, data_dir=str(root), parts=parts))


COUNTS = {
    "asvspoof2019_la": {("train", "bonafide"): 1, ("train", "spoof"): 1, ("dev", "bonafide"): 1, ("dev", "spoof"): 1}
    | {("eval", "bonafide"): 1, ("eval", "spoof"): 2},
    "asvspoof2019_pa": {(s, k): 1 for s in ("train", "dev", "eval") for k in ("bonafide", "spoof")},
    "asvspoof2021_la": {("eval", "bonafide"): 3, ("eval", "spoof"): 3},
    "asvspoof2021_df": {("eval", "bonafide"): 1, ("eval", "spoof"): 2},
    "asvspoof2021_pa": {("eval", "bonafide"): 1, ("eval", "spoof"): 1},
    "asvspoof5": {("train", "bonafide"): 1, ("train", "spoof"): 1, ("dev", "bonafide"): 1}
    | {("eval", "bonafide"): 1, ("eval", "spoof"): 1},
    "in_the_wild": {("", "bonafide"): 1, ("", "spoof"): 2},
    "fake_or_real": {(s, k): 1 for s in ("train", "dev", "eval") for k in ("bonafide", "spoof")},
    "wavefake": {("", "bonafide"): 2, ("", "spoof"): 5},
    "mlaad": {("", "bonafide"): 2, ("", "spoof"): 2},
    "spoofceleb": {(s, k): 1 for s in ("train", "dev", "eval") for k in ("bonafide", "spoof")},
    "codecfake": {(s, k): 1 for s in ("train", "dev", "eval") for k in ("bonafide", "spoof")},
    "add2023": {("eval", "bonafide"): 1, ("eval", "spoof"): 1},
    "dfadd": {("train", "bonafide"): 1, ("train", "spoof"): 1, ("dev", "bonafide"): 1, ("eval", "spoof"): 1},
    "replaydf": {("eval", "bonafide"): 1, ("eval", "spoof"): 1},
    "deepfake_eval_2024": {("train", "bonafide"): 1, ("train", "spoof"): 1, ("eval", "spoof"): 1},
    "odss": {("", "bonafide"): 1, ("", "spoof"): 2},
    "librisevoc": {("", "bonafide"): 1, ("", "spoof"): 2},
}
NAMED = {
    ("asvspoof2019_la", "LA_T_1000000"): {"label": "bonafide", "speaker": "LA_0079", "attack": "-", "split": "train"},
    ("asvspoof2019_la", "LA_E_1000002"): {"label": "spoof", "attack": "A19", "attack_name": "VC, spectral filtering"},
    ("asvspoof2019_pa", "PA_D_1000001"): {"label": "spoof", "attack": "BC", "environment": "abc", "split": "dev"},
    ("asvspoof2019_pa", "PA_T_1000000"): {"label": "bonafide", "attack": "-", "attack_name": ""},
    ("asvspoof2021_la", "LA_E_9332881"): {"label": "spoof", "attack": "A07", "codec": "alaw", "transmission": "ita_tx"}
    | {"trim": "notrim", "phase": "eval", "speaker": "LA_0009"},
    ("asvspoof2021_la", "LA_E_5013670"): {"label": "bonafide", "attack": "-", "phase": "eval"},
    ("asvspoof2021_df", "DF_E_2000011"): {"label": "spoof", "attack": "A14", "source": "asvspoof", "phase": "progress"}
    | {"vocoder": "traditional_vocoder", "language": "", "codec": "nocodec"},
    ("asvspoof2021_df", "DF_E_2000013"): {"attack": "Task1-team20", "gender_pair": "FF", "language": "E"},
    ("asvspoof2021_df", "DF_E_2000053"): {"label": "bonafide", "attack": "-", "vocoder": ""},
    ("asvspoof2021_pa", "PA_E_1000001"): {"label": "spoof", "attack": "m1-s4-c4", "room": "R3", "microphone": "M3"}
    | {"distance": "d4", "attacker_room": "r1", "phase": "eval"},
    ("asvspoof2021_pa", "PA_E_1000002"): {"label": "bonafide", "attack": "-", "attacker_room": ""},
    ("asvspoof5", "T_0000000000"): {"label": "spoof", "attack": "A05", "attack_tag": "AC3", "gender": "F", "codec": ""},
    ("asvspoof5", "E_0009538969"): {"label": "spoof", "attack": "A26", "codec": "C05", "codec_quality": "2"}
    | {"attack_name": "VC, A16 with noise of real recordings"},
    ("asvspoof5", "T_0000000001"): {"label": "bonafide", "attack": "-", "split": "train", "speaker": "T_0840"},
    ("in_the_wild", "0"): {"label": "spoof", "speaker": "Alec Guinness", "attack": ""},
    ("in_the_wild", "1"): {"label": "bonafide", "speaker": "Alec Guinness", "attack": "-"},
    ("in_the_wild", "2"): {"label": "spoof", "speaker": "King, Jr."},
    ("fake_or_real", "validation/fake/file1.wav"): {"label": "spoof", "split": "dev", "attack": "unknown"},
    ("fake_or_real", "testing/real/file1.wav"): {"label": "bonafide", "split": "eval", "attack": "-"},
    ("wavefake", "ljspeech_melgan/LJ001-0001_gen"): {"label": "spoof", "attack": "melgan", "speaker": "LJ"},
    ("wavefake", "jsut_melgan/BASIC5000_1"): {"label": "spoof", "attack": "melgan", "language": "ja"},
    ("wavefake", "ljspeech/LJ001-0001"): {"label": "bonafide", "attack": "-", "speaker": "LJ", "language": "en"},
    ("wavefake", "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0"): {
        "attack": "common_voices_prompts_from_conformer_fastspeech2_pwg"
    },
    ("mlaad", "fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284"): {
        **{"label": "spoof", "attack": "tts_models_multilingual_multi-dataset_bark", "language": "ga"}
    },
    ("mlaad", "de_DE/mix/kleine_lord/wavs/kleine_lord_01_f000003"): {"label": "bonafide", "speaker": ""}
    | {"language": "de"},
    ("mlaad", "en_US/female/judy_bieber/dorothy_and_wizard_oz/wavs/dorothy_and_wizard_oz_01_f000001"): {
        **{"label": "bonafide", "speaker": "judy_bieber", "language": "en", "attack": "-"}
    },
    ("spoofceleb", "a00/id10318/YYsxcZ5saac-00002-006"): {"label": "bonafide", "split": "dev", "speaker": "id10318"},
    ("spoofceleb", "a06/id10318/YYsxcZ5saac-00002-006"): {"label": "spoof", "split": "dev", "attack": "a06"},
    ("codecfake", "train/SSB13650058"): {"label": "bonafide", "attack": "-", "split": "train"},
    ("codecfake", "C7/F07_p227_001"): {"label": "spoof", "attack": "F07", "split": "eval", "list": "C7"}
    | {"attack_name": "DAC"},
    ("add2023", "ADD2023_T1.2R2_E_00000003"): {"label": "bonafide", "split": "eval"},
    ("add2023", "ADD2023_T1.2R2_E_00000004"): {"label": "spoof", "attack": ""},
    ("dfadd", "PflowTTS/train/p345_251_pflow"): {"label": "spoof", "attack": "PflowTTS", "speaker": "p345"},
    ("dfadd", "VCTK_BONAFIDE/valid/p226_001"): {"label": "bonafide", "split": "dev", "speaker": "p226"},
    ("replaydf", "09252b6aeda2/spoof/bark/de/9d0b"): {"label": "spoof", "attack": "bark", "language": "de"}
    | {"session": "09252b6aeda2"},
    ("replaydf", "09252b6aeda2/benign/de/17aa"): {"label": "bonafide", "attack": "-", "language": "de"},
    ("deepfake_eval_2024", "a.mp3"): {"label": "bonafide", "split": "train"},
    ("deepfake_eval_2024", "c, d"): {"label": "spoof", "split": "train", "attack": ""},
    ("odss", "natural/vctk/p225/p225_001"): {"label": "bonafide", "speaker": "vctk-p225", "language": "en"},
    ("odss", "fastpitch-hifigan/hui-acg/Bernd/one"): {"label": "spoof", "attack": "fastpitch-hifigan"}
    | {"language": "de"},
    ("librisevoc", "gt/250_142286_000031_000006"): {"label": "bonafide", "speaker": "250"},
    ("librisevoc", "wavernn/250_142286_000031_000006_gen"): {"label": "spoof", "attack": "wavernn", "speaker": "250"},
}


def test_every_corpus_has_a_reader_and_an_option():
    assert set(CORPORA) == set(corpora.READERS)


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """The Manifest of each corpus."""
    return {corpus: read(corpus, tree(corpus, tmp_path_factory.mktemp(corpus)))[0] for corpus in TREES}


@pytest.mark.parametrize("corpus", TREES)
def test_counts_by_split_and_label(tables, corpus):
    table = tables[corpus]
    assert Counter(zip(table["split"], table["label"], strict=True)) == COUNTS[corpus]
    assert set(table["corpus"]) == {corpus}
    assert all(Path(path).is_file() for path in table["path"])


@pytest.mark.parametrize(("corpus", "utterance"), NAMED)
def test_labels_and_conditions_of_named_utterances(tables, corpus, utterance):
    row = tables[corpus].set_index("utterance_id").loc[utterance]
    assert {name: row[name] for name in NAMED[corpus, utterance]} == NAMED[corpus, utterance]


@pytest.mark.parametrize(
    "corpus", ["asvspoof2019_la", "asvspoof2021_df", "asvspoof5", "in_the_wild", "spoofceleb", "add2023"]
)
def test_audio_that_is_missing_or_not_listed_is_rejected(tmp_path, corpus):
    root = tree(corpus, tmp_path / "a" / "b")  # at any depth
    whole, _ = read(corpus, tmp_path)
    gone = Path(whole["path"].iat[0])
    other = gone.with_name(f"other{gone.suffix}")
    write_noise(other)
    gone.unlink()
    table, rejected = read(corpus, tmp_path)
    assert len(table) == len(whole) - 1
    reasons = {Path(r.path).stem: r.reason for r in rejected}
    assert set(reasons) == {gone.stem, other.stem}
    assert reasons[gone.stem].endswith(", but not there")
    assert reasons[other.stem].startswith("not listed in ")
    assert root.is_dir()


@pytest.mark.parametrize(
    ("corpus", "suffix"), [("asvspoof2019_la", ".WAV"), ("in_the_wild", ".flac"), ("wavefake", ".Flac")]
)
def test_converted_audio_is_read(tmp_path, corpus, suffix):
    whole, _ = read(corpus, tree(corpus, tmp_path))
    for path in [Path(path) for path in whole["path"]]:
        path.rename(path.with_suffix(suffix))
    converted, rejected = read(corpus, tmp_path)
    assert [Path(path).suffix for path in converted["path"]] == [suffix] * len(whole)
    pd.testing.assert_frame_equal(converted.drop(columns="path"), whole.drop(columns="path"))
    assert all("which is read" in r.reason for r in rejected)
    kept = Path(converted["path"].iat[0])
    kept.with_suffix(".mp3").touch()
    assert str(max(kept, kept.with_suffix(".mp3"))) in [r.path for r in read(corpus, tmp_path)[1]]


def test_no_utterances_gives_the_reasons(tmp_path):
    root = tree("in_the_wild", tmp_path)
    for number in range(3):
        (root / f"release_in_the_wild/{number}.wav").rename(root / f"release_in_the_wild/x{number}.wav")
    message = r"no utterances found; 3 listed in meta\.csv, but not there: .*0\.wav; 3 not listed in meta\.csv"
    with pytest.raises(CorpusError, match=message):
        read("in_the_wild", root)


DAMAGED = [
    (
        "asvspoof2021_la",
        "keys/LA/CM/trial_metadata.txt",
        LA_2021,
        "LA_1 LA_E_1 alaw ita_tx A07 spoof notrim",
        "7 columns",
    ),
    ("asvspoof2021_la", "keys/LA/CM/trial_metadata.txt", LA_2021, LA_2021[0], "LA_E_9332881 is listed twice"),
    (
        *("asvspoof2021_la", "keys/LA/CM/trial_metadata.txt", LA_2021),
        *("LA_1 LA_E_1 alaw ita_tx A07 spoof notrim late", "subset 'late' is none of progress, eval, hidden"),
    ),
    (
        *("asvspoof2021_la", "keys/LA/CM/trial_metadata.txt", LA_2021),
        *("LA_1 LA_E_1 alaw ita_tx A07 bonafide notrim eval", "the key is 'bonafide', but the attack is 'A07'"),
    ),
    (
        *("asvspoof5", "ASVspoof5_protocols/ASVspoof5.train.tsv", ASVSPOOF5["ASVspoof5.train.tsv"]),
        *("T_1 T_1 F - - - - bonafide spoof -", "the key is 'spoof', but the attack is 'bonafide'"),
    ),
    (
        *("asvspoof5", "ASVspoof5_protocols/ASVspoof5.train.tsv", ASVSPOOF5["ASVspoof5.train.tsv"]),
        *("T_1 T_1 F - - - - A01 genuine -", "key 'genuine' is neither bonafide nor spoof"),
    ),
    ("in_the_wild", "release_in_the_wild/meta.csv", META, "9.wav,Someone,real", "key 'real' is neither bona-fide nor"),
    ("in_the_wild", "release_in_the_wild/meta.csv", META, "9.wav,spoof", "2 columns instead of 3"),
    ("in_the_wild", "release_in_the_wild/meta.csv", [], "name,speaker,label", "columns name,speaker,label instead of"),
]


DAMAGED += [
    ("codecfake", "label/dev.txt", CODECFAKE["dev"], line, f"the key is {key}, but the codec is {codec}")
    for line, key, codec in (
        ("x.wav real 3", "'real'", "'3'"),
        ("y.wav fake 0", "'fake'", "'0'"),
        ("z.wav fake 9", "'fake'", "'9'"),
    )
]


@pytest.mark.parametrize(("corpus", "path", "lines", "line", "message"), DAMAGED)
def test_damaged_lines_are_named(tmp_path, corpus, path, lines, line, message):
    root = tree(corpus, tmp_path, lists={path: [*lines, line]})
    with pytest.raises(CorpusError, match=rf"line {len(lines) + 1}: .*{message}"):
        read(corpus, root)


def test_a_list_that_is_no_text_is_named(tmp_path):
    root = tree("asvspoof5", tmp_path)
    (root / "ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv").write_bytes(b"D_0062 \xff\xfe")
    with pytest.raises(CorpusError, match=r"ASVspoof5\.dev\.track_1\.tsv: not text in UTF-8 \(byte 7\)"):
        read("asvspoof5", root)


@pytest.mark.parametrize(
    ("corpus", "missing", "message"),
    [
        ("asvspoof2019_pa", "PA/ASVspoof2019_PA_dev", "folder ASVspoof2019_PA_dev is missing; .*--parts"),
        ("asvspoof2021_la", "keys", r"file LA/CM/trial_metadata.txt is missing; unpack LA-keys-full.tar.gz there"),
        ("asvspoof2021_la", "ASVspoof2021_LA_eval", "folder ASVspoof2021_LA_eval is missing; unpack the audio"),
        ("asvspoof5", "flac_D", "folder flac_D is missing"),
        ("in_the_wild", "release_in_the_wild", "file meta.csv is missing; unpack release_in_the_wild.zip"),
        ("fake_or_real", "for-norm/validation", "folder validation is missing"),
        ("wavefake", "generated_audio", "no folder of a generator"),
        ("mlaad", "fake", "folder fake is missing; name the folder"),
        ("spoofceleb", "spoofceleb/flac/train", "folder flac/train is missing"),
        ("codecfake", "label", "folder label is missing; unpack label.zip"),
        ("add2023", "Track1.2", "file label.txt is missing; unpack the archive"),
        ("replaydf", "wav", "folder benign is missing"),
        ("deepfake_eval_2024", "audio-data", "folder audio-data is missing"),
        ("odss", "odss", "folder natural is missing"),
        ("librisevoc", "LibriSeVoc", "folder gt is missing"),
    ],
)
def test_missing_files_and_folders_are_named_with_the_remedy(tmp_path, corpus, missing, message):
    root = tree(corpus, tmp_path / "data")
    (root / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match=message):
        read(corpus, root)


def test_2021_is_evaluation_data_with_a_phase_per_trial(tmp_path):
    table, _ = read("asvspoof2021_la", tree("asvspoof2021_la", tmp_path))
    assert Counter(table["phase"]) == dict.fromkeys(asvspoof2021.PHASES, 2)
    assert "phase" in manifest.conditions(table)
    assert splits.resolve(table, "auto") == splits.resolve(table, "official") == "official"
    with pytest.raises(CorpusError, match="ASVspoof 2021 LA is evaluation data only: omit --parts"):
        read("asvspoof2021_la", tmp_path, parts="train,dev")


@pytest.mark.parametrize(
    ("corpus", "lines"),
    [
        ("asvspoof2021_la", "- {} - - - {} - hidden_track"),
        ("asvspoof2021_df", "- {} - - - {} - progress"),
        ("asvspoof2021_pa", "- {} - - {} - hidden_track_2"),
    ],
)
def test_keys_of_the_first_release_of_2021_have_labels_and_phases(tmp_path, corpus, lines):
    tree("asvspoof2021_la" if corpus.endswith("pa") else "asvspoof2021_pa", tmp_path / "other")
    root = tree(corpus, tmp_path)
    whole, _ = read(corpus, root)
    (full,) = (path for path in root.glob("keys/*/CM/trial_metadata.txt"))
    full.unlink()
    (root / "keys/CM").mkdir()
    listed = [lines.format(row.utterance_id, row.label) + "\n" for row in whole.itertuples()]
    (root / "keys/CM/trial_metadata.txt").write_text("".join(listed))
    table, rejected = read(corpus, root)
    assert rejected == []
    assert table[["utterance_id", "label", "split"]].equals(whole[["utterance_id", "label", "split"]])
    assert set(table["phase"]) == {"progress" if corpus.endswith("df") else "hidden"}
    assert set(table["speaker"]) == {""}
    assert set(table["attack"]) == {"-", ""}


def test_tracks_in_one_folder_are_kept_apart(tmp_path):
    for corpus in ("asvspoof2021_la", "asvspoof2021_df", "asvspoof2019_la", "asvspoof2019_pa"):
        tree(corpus, tmp_path)
    for corpus in ("asvspoof2021_la", "asvspoof2021_df", "asvspoof2019_la", "asvspoof2019_pa"):
        table, rejected = read(corpus, tmp_path)
        assert Counter(zip(table["split"], table["label"], strict=True)) == COUNTS[corpus]
        assert rejected == []


def test_recordings_without_a_known_label_are_rejected(tmp_path):
    _, rejected = read("deepfake_eval_2024", tree("deepfake_eval_2024", tmp_path / "a"))
    assert [(Path(r.path).name, r.reason) for r in rejected] == [
        ("e.wav", "neither real nor fake in audio-metadata-publish.csv")
    ]
    root = tree("librisevoc", tmp_path / "b")
    write_noise(root / "LibriSeVoc" / "other.wav")
    assert [r.reason for r in read("librisevoc", root)[1]] == ["in none of the folders that tell labels"]
    with pytest.raises(CorpusError, match="evaluation data only"):
        read("replaydf", tree("replaydf", tmp_path / "c"), parts="train")


def test_two_versions_of_fake_or_real_are_never_mixed(tmp_path):
    root = tree("fake_or_real", tmp_path)
    (root / "for-2sec" / "training").mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"several versions .* \(for-2sec and for-norm\); name one"):
        read("fake_or_real", root)
    assert len(read("fake_or_real", root / "for-norm", parts="dev")[0]) == 2


def test_wavefake_lists_second_copies_and_warns_without_bonafide(tmp_path, capsys):
    root = tree("wavefake", tmp_path / "data")
    _, rejected = read("wavefake", root)
    assert [(Path(r.path).parent.name, Path(r.path).name) for r in rejected] == [("generated", "gen_0.wav")]
    for name in ("LJSpeech-1.1", "jsut_ver1.1"):
        (root / name).rename(tmp_path / name)
    assert "warning" not in capsys.readouterr().err
    assert set(read("wavefake", root)[0]["label"]) == {"spoof"}
    assert "warning: wavefake holds only spoof; join it with a corpus of both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [("a.mp3,Real", "fewer columns"), ("e.mp3,Fake,Holdout", "Finetuning Set 'Holdout' is neither train nor test")],
)
def test_damaged_lines_of_deepfake_eval_are_named(tmp_path, line, message):
    root = tree("deepfake_eval_2024", tmp_path)
    table = root / "audio-metadata-publish.csv"
    table.write_text("Filename,Ground Truth,Finetuning Set\n" + line + "\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=f"line 2: .*{message}"):
        read("deepfake_eval_2024", root)
    table.write_text("Filename,Ground Truth,Finetuning Set\na.mp3,Real,Train\na.mp3,Fake,Test\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"a\.mp3 is listed twice"):
        read("deepfake_eval_2024", root)
