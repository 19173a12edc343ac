"""Training state on disk: what goes in comes out, and an interrupted write leaves the old state."""

import numpy as np
import pytest

from pipeline.errors import ProjectError
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress


def test_round_trip(tmp_path):
    progress = Progress(
        "run", epoch=2, best_epoch=1, best_score=[0.1, 0.5], history=[{"dev/eer": 0.2}, {"dev/eer": 0.1}]
    )
    variables = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, dtype=np.int64)]
    checkpoint.save(tmp_path / "run" / "state.npz", progress, variables, variables[:1])
    loaded, values, best = checkpoint.load(tmp_path / "run" / "state.npz")
    assert loaded == progress
    assert [v.dtype for v in values] == [np.float32, np.int64]
    assert all(np.array_equal(a, b) for a, b in zip(values, variables, strict=True))
    assert len(best) == 1


def test_more_than_ten_variables_keep_their_order(tmp_path):
    checkpoint.save(tmp_path / "state.npz", Progress("run"), [np.array(i) for i in range(200)], [])
    assert [int(v) for v in checkpoint.load(tmp_path / "state.npz")[1]] == list(range(200))


def test_nothing_saved_is_none(tmp_path):
    assert checkpoint.load(tmp_path / "state.npz") is None


def test_what_cannot_be_opened_is_not_called_damaged(tmp_path):
    (tmp_path / "state.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        checkpoint.load(tmp_path / "state.npz")


def test_an_array_in_its_place_is_called_damaged(tmp_path):
    with (tmp_path / "state.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ProjectError, match=r"state\.npz: the state of this training is damaged"):
        checkpoint.load(tmp_path / "state.npz")


def test_an_interrupted_write_leaves_the_old_state(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoint.save(path, Progress("run", epoch=1), [np.zeros(3)], [])

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, Progress("run", epoch=2), [np.ones(3)], [])
    assert checkpoint.load(path)[0].epoch == 1
