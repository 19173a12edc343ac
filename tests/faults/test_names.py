"""Names of files that are no UTF-8 text: scored, listed or refused, and never the end of a command."""

import csv
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import audio, corpora
from pipeline.config import PROJECT_ROOT, CorpusConfig, preset
from pipeline.errors import CorpusError
from pipeline.store.build import build
from pipeline.store.store import REJECTED, Store

NAME = os.fsdecode(b"caf\xe9 \xff.wav")
SHOWN = "caf\\udce9 \\udcff.wav"


def test_scores_of_such_files_are_printed_and_written(tmp_path, voice, make_model_folder):
    folder = tmp_path / "recordings"
    folder.mkdir()
    soundfile.write(folder / "a.wav", audio.to_int16(voice), 16000)
    os.rename(folder / "a.wav", folder / NAME)
    words = [sys.executable, "-m", "pipeline.score", str(folder), "--model", str(make_model_folder().folder)]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    printed = subprocess.run(words, cwd=PROJECT_ROOT, env=strict, capture_output=True, check=False)
    assert printed.returncode == 0, printed.stderr
    assert SHOWN.encode() in printed.stdout
    for suffix in (".csv", ".parquet"):
        output = tmp_path / f"rows{suffix}"
        subprocess.run([*words, "--output", str(output)], cwd=PROJECT_ROOT, env=strict, check=True, capture_output=True)
        table = pd.read_csv(output) if suffix == ".csv" else pd.read_parquet(output)
        assert table["source"].str.endswith(SHOWN).tolist() == [True]
        assert table["score"].notna().all()


def test_a_corpus_leaves_them_out_and_lists_them(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("bonafide", "spoof"):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        for number in range(5):
            soundfile.write(tmp_path / "corpus" / label / f"{number}.wav", 0.1 * rng.standard_normal(8000), 16000)
    os.rename(tmp_path / "corpus" / "spoof" / "4.wav", tmp_path / "corpus" / "spoof" / NAME)
    config = preset("smoke").replace(corpus="folder", data_dir=str(tmp_path / "corpus"), split_by="stratified")
    table, rejected = corpora.read(config.corpus)
    build(table, rejected, config, tmp_path / "store", name="folder", split_by="stratified", key="k")
    assert len(Store.open(tmp_path / "store")) == 9
    with (tmp_path / "store" / REJECTED).open() as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == "its name is not UTF-8 text; rename it"
    assert "udce9" in row["path"]


def test_a_corpus_in_such_a_folder_and_lists_in_another_encoding_are_refused(tmp_path):
    copied = tmp_path / os.fsdecode(b"corpus-\xff")
    copied.mkdir()
    with pytest.raises(CorpusError, match="the name of the folder is not UTF-8 text; rename it"):
        corpora.read(CorpusConfig(corpus="folder", data_dir=str(copied)))
    folder = tmp_path / "asvspoof"
    (folder / "ASVspoof2017_V2_train").mkdir(parents=True)
    (folder / "ASVspoof2017_V2_train.trn.txt").write_bytes(b"T_1.wav genuine M\xfcller S01 - - -\n")
    with pytest.raises(CorpusError, match=r"trn\.txt: not text in UTF-8 \(byte 17\)"):
        corpora.read(CorpusConfig(corpus="asvspoof2017", data_dir=str(folder), parts="train"))
    (tmp_path / "list.csv").write_bytes(b"path,label\nM\xfcller.wav,spoof\n")
    with pytest.raises(CorpusError, match="cannot be read as a table"):
        corpora.read(CorpusConfig(corpus="table", data_dir=str(tmp_path / "list.csv")))
