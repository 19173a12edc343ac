"""Odd recordings through every entrance: score, page, serving, analyse and stream find the same."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline import audio
from pipeline.page import view
from pipeline.scoring import parties, workers
from pipeline.scoring.detector import Detector
from pipeline.serving.pyfunc import SpoofDetector
from pipeline.streaming import sources
from tests.support.odd_recordings import ODD


def test_every_entrance_agrees_on_odd_recordings(voice, make_model_folder, tmp_path, monkeypatch):
    model, paths = make_model_folder(), [tmp_path / name for name in ODD]
    for path in paths:
        path.write_bytes(ODD[path.name][0](voice))
    monkeypatch.setenv("SPOOF_SERVE_ROOT", str(tmp_path))
    monkeypatch.setenv("SPOOF_SERVE_MAX_CHANNELS", "6")
    server, detector = SpoofDetector(), Detector(model)
    server.load_context(SimpleNamespace(artifacts={"bundle": str(model.folder)}))
    served = server.predict(None, pd.DataFrame({"path": ODD.keys()})).to_dict("records")
    rows = workers.rows(model, list(map(str, paths)), model.point(), processes=1)
    for path, row, answer in zip(paths, map(dataclasses.asdict, rows), served, strict=True):
        shown = view.view(detector, path.read_bytes(), limits=audio.DEFAULT_LIMITS)["row"]
        assert [note.split(":")[0] for note in row["note"].split("; ") if note] == ODD[path.name][1]
        assert row["label"], path.name
        for other in (shown, answer):
            assert other | {"source": "", "latency_ms": 0} == pytest.approx(row | {"source": "", "latency_ms": 0})
        (party,) = parties.find(
            lambda path=path: audio.blocks(path), detector, mixed=True, point=detector.model.point()
        )
        analysed = dataclasses.asdict(party.row) | {"note": row["note"]}
        assert analysed | {"latency_ms": 0} == pytest.approx(row | {"source": "", "latency_ms": 0}, abs=1e-4)
        streamed = np.concatenate(list(sources.recording(path, paced=False)))
        np.testing.assert_array_equal(streamed, audio.decode(path))
