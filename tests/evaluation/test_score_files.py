"""Score files and keys of other systems: every format, both sides matched, damage named."""

import numpy as np
import pytest

from pipeline.errors import CorpusError
from pipeline.evaluation import score_files
from tests.support.corpus_trees import LA_2021

FIVE = (
    "E_1607 E_1 M C05 2 E_0009486171 AC1 A26 spoof -\nE_1607 E_2 F - - - - - bonafide -\n"
    "E_2 E_3 F - - - AC1 A17 spoof -\n"
)
SCORES = {"E_1": -1.5, "E_2": 2.0, "E_3": 0.25}
FORMATS = {
    "2021.txt": "E_1 -1.5\nE_2 2.0\nE_3 0.25\n",
    "2019.txt": "E_1 A26 spoof -1.5\nE_2 - bonafide 2\nE_3 A17 spoof .25\n",
    "5.tsv": "filename\tcm-score\nE_1\t-1.5\nE_2\t2.0\nE_3\t0.25\n",
    "ours.csv": "subset,utterance_id,label,attack,speaker,logit,score\n"
    + "".join(f"eval,{name},spoof,,,9,{score}\n" for name, score in SCORES.items()),
    "plain.csv": "E_1,-1.5\nE_2,2.0\nE_3,0.25\n",
    "spaced.txt": "trial score\nE_1 -1.5\nE_2 2.0\nE_3 0.25\n",
}


def file(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_scores(tmp_path, name):
    assert score_files.read_scores(file(tmp_path, name, FORMATS[name])) == SCORES


def test_paths_of_speech_df_arena_are_matched_by_name(tmp_path):
    scores = file(tmp_path, "s.txt", "/data/my set/E_1.wav -1.5\n/data/my set/E_2.wav 2\n/data/my set/E_3.wav .25\n")
    assert set(score_files.read_scores(scores)) == {f"/data/my set/{name}.wav" for name in SCORES}
    keys = score_files.read_keys(file(tmp_path, "k.csv", "file_name,label\n/a/E_2.wav,bonafide\n/a/E_3.wav,spoof\n"))
    found = {"/data/E_2.flac": 2.0, "/data/E_3.flac": 0.25}
    assert list(score_files.scored(keys, found, (scores, scores))["score"]) == [2.0, 0.25]


def test_keys_of_the_challenges(tmp_path):
    rows = score_files.read_keys(file(tmp_path, "ASVspoof5.dev.track_1.tsv", FIVE)).set_index("utterance_id")
    assert rows.loc["E_1", ["label", "attack", "codec", "split"]].tolist() == ["spoof", "A26", "C05", "dev"]
    rows = score_files.read_keys(file(tmp_path, "trial_metadata.txt", "\n".join(LA_2021))).set_index("utterance_id")
    assert rows.loc["LA_E_9332881", ["label", "attack_name", "codec", "split"]].tolist() == [
        *("spoof", "TTS, vocoder and GAN", "alaw", "eval")
    ]
    assert set(rows["split"]) == {"progress", "eval", "hidden"}
    pa = "PA_0079 PA_T_1 aaa - bonafide\nPA_0079 PA_T_2 aaa AA spoof\n"
    rows = score_files.read_keys(file(tmp_path, "ASVspoof2019.PA.cm.eval.trl.txt", pa)).set_index("utterance_id")
    assert rows.loc["PA_T_2", ["environment", "attack", "split"]].tolist() == ["aaa", "AA", "eval"]
    key = "filename\tcm-label\nE_1\tspoof\nE_2\tbonafide\n"
    assert list(score_files.read_keys(file(tmp_path, "key.tsv", key))["label"]) == ["spoof", "bonafide"]
    named = "filename\tcm-label\tattack\tspeaker\tcodec\nE_1\tspoof\tA1\ts\tC0\nE_2\tbonafide\t-\ts\tC1\n"
    rows = score_files.read_keys(file(tmp_path, "named.tsv", named))
    assert rows[["attack", "codec"]].to_numpy().tolist() == [["A1", "C0"], ["-", "C1"]]
    rows.rename(columns={"utterance_id": "file"})[["file", "label"]].to_parquet(tmp_path / "keys.parquet")
    assert list(score_files.read_keys(tmp_path / "keys.parquet")["utterance_id"]) == ["E_1", "E_2"]
    own = "subset,utterance_id,label,attack,speaker,score\ndev,a,spoof,X,s,1\neval,b,bonafide,-,s,2\n"
    rows = score_files.read_keys(file(tmp_path, "scores.csv", own))
    assert list(rows["split"]) == ["dev", "eval"]
    assert "score" not in rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E_1 0.5\nE_2 high\n", r"line 2: the score of 'E_2' is 'high', which is no finite number"),
        ("E_1 0.5\nE_2 nan\n", r"line 2: .*'nan', which is no finite number"),
        ("E_1 0.5\nE_1 0.7\n", r"line 2: E_1 has a score already"),
        ("name,score\nE_1,1\n", r"line 1: no column of trials"),
        ("file,score\nE_1\n", r"line 2: 1 cells, too few"),
        ("", "holds no scores"),
    ],
)
def test_damaged_scores_are_named(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        score_files.read_scores(file(tmp_path, "s.txt", text))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"E_1": 1.0}, r"2 of 3 trials of k\.tsv have no score: E_2, E_3; score them too"),
        (SCORES | dict.fromkeys("abcd", 1.0), r"4 of 7 trials are not in k\.tsv: a, b, c …; check"),
        ({"x/E_1": 1.0, "y/E_1": 1.0}, "names without folders are not unique"),
    ],
)
def test_trials_of_one_side_are_counted_and_named(tmp_path, scores, message):
    keys = file(tmp_path, "k.tsv", FIVE)
    with pytest.raises(CorpusError, match=message):
        score_files.scored(score_files.read_keys(keys), scores, (tmp_path / "s.txt", keys))


def test_one_class_and_unscored_phases(tmp_path):
    keys = file(tmp_path, "trial_metadata.txt", "\n".join(LA_2021))
    table = score_files.read_keys(keys)
    scores = dict.fromkeys(table.loc[table["split"] == "eval", "utterance_id"], 1.0)
    assert set(score_files.scored(table, scores, (keys, keys))["split"]) == {"eval"}
    spoofs = table[table["label"] == "spoof"]
    with pytest.raises(CorpusError, match=r"all trials of eval are spoof; the figures need both"):
        score_files.scored(spoofs, dict.fromkeys(spoofs["utterance_id"], 1.0), (keys, keys))


def test_scores_of_a_verifier(tmp_path):
    of_2019 = file(tmp_path, "asv.txt", "bonafide target 7.5\nbonafide nontarget -1\nA07 spoof 2\nA08 spoof 3\n")
    assert [list(scores) for scores in vars(score_files.read_asv(of_2019)).values()] == [[7.5], [-1], [2, 3]]
    joint = file(tmp_path, "sasv.txt", "LA_1 LA_E_1 7.5 target\nLA_1 LA_E_2 -1 nontarget\nLA_1 LA_E_3 2 spoof\n")
    assert score_files.read_asv(joint).spoof == np.array([2.0])
    (tmp_path / "ASV/Kaldi").mkdir(parents=True)
    keys = [f"LA_1 LA_E_{n} alaw ita_tx A07 {key} notrim {phase}" for n, (key, phase) in enumerate(PHASES)]
    file(tmp_path, "ASV/trial_metadata.txt", "\n".join(keys))
    scores = file(tmp_path, "ASV/Kaldi/score.txt", "".join(f"LA_1 LA_E_{n} {n}\n" for n in range(len(PHASES))))
    assert [list(found) for found in vars(score_files.read_asv(scores, "eval")).values()] == [[0], [1], [2]]
    scores.write_text("LA_1 LA_E_0 1\n")
    with pytest.raises(CorpusError, match="1 scores for the 4 trials of"):
        score_files.read_asv(scores, "eval")


PHASES = [("target", "eval"), ("nontarget", "eval"), ("spoof", "eval"), ("spoof", "progress")]
