"""Several corpora in one Manifest and one Store: their names, and the splits that each keeps."""

import pandas as pd
import pytest

from pipeline import corpora, preprocess
from pipeline.config import CorpusConfig
from pipeline.errors import ConfigError, CorpusError
from pipeline.metrics import assessment
from pipeline.store import manifest, splits
from pipeline.store.store import Store
from tests.support.corpus_trees import tree

JOINED = ("asvspoof2019_la", "asvspoof2021_la", "in_the_wild")


@pytest.fixture
def config(tmp_path) -> CorpusConfig:
    places = [str(tree(corpus, tmp_path / corpus)) for corpus in JOINED]
    return CorpusConfig(corpus=", ".join(JOINED), data_dir=",".join(places))


def test_corpora_and_folders_match_in_order():
    given = CorpusConfig(corpus="folder,demo,folder", data_dir="/a,,/b", parts="eval")
    found = corpora.apart(given)
    assert {name: (own.corpus, own.data_dir) for name, own in found.items()} == {
        "folder": ("folder", "/a"),
        "demo": ("demo", ""),
        "folder_2": ("folder", "/b"),
    }
    assert {own.parts for own in found.values()} == {"eval"}
    assert corpora.together(found) == given
    assert corpora.together({"demo": found["demo"]}) == found["demo"]
    one = CorpusConfig(corpus="folder", data_dir="/with,comma")
    assert corpora.apart(one) == {"folder": one}
    with pytest.raises(ConfigError, match="--data_dir '/a': 1 places for the 2 corpora of --corpus 'folder,table'"):
        corpora.apart(CorpusConfig(corpus="folder,table", data_dir="/a"))


def test_names_of_each_corpus_are_kept_apart(config):
    table, _ = corpora.read(config)
    assert table["corpus"].value_counts().to_dict() == {"asvspoof2019_la": 7, "asvspoof2021_la": 6, "in_the_wild": 3}
    rows = table.set_index("utterance_id")
    old, later = rows.loc["asvspoof2019_la/LA_E_1000001"], rows.loc["asvspoof2021_la/LA_E_9332881"]
    assert (old.attack, later.attack) == ("asvspoof2019_la/A07", "asvspoof2021_la/A07")
    assert (old.speaker, later.speaker) == ("asvspoof2019_la/LA_0039", "asvspoof2021_la/LA_0009")
    assert (old.phase, later.phase) == ("", "eval")
    assert set(table.loc[table["label"] == "bonafide", "attack"]) == {"-"}
    assert rows.loc["in_the_wild/0"].attack == ""  # unknown stays unknown
    assert {"corpus", "phase", "codec"} <= set(manifest.conditions(table))


def test_each_corpus_keeps_its_own_splits(config):
    table, _ = corpora.read(config)
    resolved = splits.resolve(table, "auto")
    assert resolved == "asvspoof2019_la=official,asvspoof2021_la=official,in_the_wild=speaker"
    official = table[table["corpus"] != "in_the_wild"]
    assert splits.resolve(official, "auto") == "official"
    split = splits.assign(table, resolved, seed=0)
    pd.testing.assert_series_equal(split["split"][official.index], official["split"])
    alone = splits.assign(corpora.read(corpora.apart(config)["in_the_wild"])[0], "speaker", seed=0)
    assert split["split"][split["corpus"] == "in_the_wild"].tolist() == alone["split"].tolist()
    with pytest.raises(CorpusError, match="in_the_wild: split_by=official needs dev or eval"):
        splits.resolve(table, "official")


@pytest.mark.usefixtures("tracking_store")
def test_a_joined_store_has_a_group_per_corpus(config, smoke):
    settings = smoke.replace(corpus=config.corpus, data_dir=config.data_dir)
    folder = preprocess.ensure(settings, otherwise="none")
    assert folder.name.startswith("asvspoof2019_la+asvspoof2021_la+in_the_wild-")
    store = Store.open(folder)
    assert store.split_by == "asvspoof2019_la=official,asvspoof2021_la=official,in_the_wild=none"
    trials = store.manifest.iloc[store.subset("eval")].reset_index(drop=True)
    assert len(trials) == 12
    score = (trials["label"] == "bonafide") * 1.0 - (trials["corpus"] == "in_the_wild") * 5.0
    conditions = manifest.conditions(store.manifest)
    found = assessment.assess(
        trials.assign(logit=score, score=score),
        subset="eval",
        threshold=0.0,
        trained_attacks=None,
        conditions=conditions,
    )
    named = found.mlflow_metrics()
    assert named["eval/corpus/in_the_wild/eer"] == named["eval/corpus/asvspoof2021_la/eer"] == 0.0
    assert named["eval/eer"] > 0.0
    assert {"eval/phase/eval/eer", "eval/phase/progress/eer", "eval/phase/hidden/eer"} <= set(named)
    assert "eval/attack/asvspoof2019_la_A07/eer" in named
    assert preprocess.ensure(settings, otherwise="none") == folder
