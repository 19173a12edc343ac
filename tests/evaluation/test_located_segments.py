"""Localisation figures of an evaluation: for Stores that list segments, without recordings spoofed as a whole."""

import pandas as pd
import pytest

from pipeline import evaluate
from pipeline.evaluation import localisation
from pipeline.store import store
from pipeline.store.store import Store
from tests.support.toy import drop, make_store, write_litert, write_model_folder


def test_figures_are_of_bonafide_and_partly_spoofed_recordings(tmp_path):
    opened = make_store(tmp_path / "store")
    model = write_model_folder(tmp_path / "model", write_litert(tmp_path / "model.tflite"), opened)
    assert localisation.measure(model, opened, "eval") == {}
    table = pd.read_parquet(opened.folder / store.MANIFEST)
    partly = table["attack"] == "A07"
    for name, cell in (("spoof_start_s", "0.005"), ("spoof_end_s", "0.02")):
        table[name] = partly.map({True: cell, False: ""})
    table.to_parquet(opened.folder / store.MANIFEST)
    listing = Store.open(opened.folder)
    found = evaluate.evaluate(model, listing, "eval").metrics
    figures = ["range_eer", "segment_eer_0.32", "segment_eer_0.64", "located_recall", "false_segments_per_hour"]
    assert list(found)[-5:] == figures
    assert 0 < found["range_eer"] < 1
    kept = drop(opened.folder, lambda table: (table["label"] == "bonafide") | (table["attack"] == "A07"))
    assert localisation.measure(model, kept, "eval") == {name: pytest.approx(found[name]) for name in figures}
    assert localisation.measure(model, listing, "dev") == {}
