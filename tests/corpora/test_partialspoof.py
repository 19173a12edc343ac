"""PartialSpoof in its published layout: segments from the finest labels, and pickles that name more than arrays."""

import os
import pickle

import numpy as np
import pytest

from pipeline import corpora
from pipeline.config import CorpusConfig
from pipeline.corpora import partialspoof
from pipeline.errors import CorpusError
from tests.support.corpus_trees import write_noise

LIST = [
    "LA_0039 LA_E_0000001 - - bonafide",
    "LA_0039 CON_E_0000001 - CON spoof",
    "LA_0040 CON_E_0000002 - CON spoof",
]
LABELS = {
    "LA_E_0000001": np.array(list("11111")),
    "CON_E_0000001": np.array(list("1100110")),
    "CON_E_0000002": np.array(list("11111")),
}


@pytest.fixture
def root(tmp_path):
    listed = tmp_path / "protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.eval.trl.txt"
    labels = tmp_path / "segment_labels"
    for folder in (listed.parent, labels, tmp_path / "eval/con_wav"):
        folder.mkdir(parents=True)
    listed.write_text("\n".join(LIST) + "\n")
    np.save(labels / "eval_seglab_0.02.npy", LABELS, allow_pickle=True)
    np.save(labels / "eval_seglab_0.64.npy", {name: np.array(["0"]) for name in LABELS}, allow_pickle=True)
    for line in LIST:
        write_noise(tmp_path / f"eval/con_wav/{line.split()[1]}.wav")
    return tmp_path


def read(root):
    return corpora.read(CorpusConfig(corpus="partialspoof", data_dir=str(root), parts="eval"))


def test_spoofs_list_their_segments(root):
    table, rejected = read(root)
    assert list(table["utterance_id"]) == ["LA_E_0000001", "CON_E_0000001"]
    assert list(table["spoof_start_s"]) == ["", "0.04;0.12"]
    assert list(table["spoof_end_s"]) == ["", "0.08;0.14"]
    assert list(table["speaker"]) == ["LA_0039"] * 2
    assert list(table["attack"]) == ["-", "CON"]
    assert [(os.path.basename(r.path), r.reason.split(" in ")[0]) for r in rejected] == [
        ("CON_E_0000002.wav", "a spoof without spoofed segments")
    ]


class Call:
    def __reduce__(self):
        return os.mkdir, ("called",)


@pytest.mark.parametrize("content", [{"a": Call()}, [1, 2]])
def test_labels_that_are_no_arrays_are_refused(root, content, monkeypatch):
    monkeypatch.chdir(root)
    array = np.empty((), object)
    array[()] = content
    np.save(root / "segment_labels/eval_seglab_0.01.npy", array, allow_pickle=True)
    with pytest.raises(CorpusError, match=r"eval_seglab_0\.01\.npy: no segment labels of PartialSpoof"):
        read(root)
    assert not (root / "called").exists()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_protocol_of_pickles_is_read(tmp_path, protocol):
    with (tmp_path / "labels.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        array = np.empty((), object)
        array[()] = LABELS
        pickle.dump(array, file, protocol=protocol)
    assert partialspoof.dictionary(tmp_path / "labels.npy").keys() == LABELS.keys()


def test_missing_labels_name_their_archive(root):
    for path in (root / "segment_labels").iterdir():
        path.unlink()
    with pytest.raises(CorpusError, match=r"eval_seglab_0\.01\.npy .* is missing; unpack"):
        read(root)
