"""Comparisons: which configurations are meant, what is trained once, and what table and figure say."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pipeline import compare
from pipeline.compare import CompareOptions
from pipeline.config import preset
from pipeline.errors import ConfigError
from pipeline.evaluation import clips
from pipeline.reporting import comparison
from pipeline.training import loop

TABLE = pd.DataFrame(
    [
        {"config": name, "seed": seed, "dev": level, "eval": level, "seen": level + 0.01 * seed, "unseen": 2 * level}
        | {"parameters": 1000, "ms_per_clip": 2.5, "size_mb": 0.3}
        for name, level in (("notebook", 0.4), ("mine", 0.2))
        for seed in (0, 1)
    ]
)
INTERVALS = pd.DataFrame(
    [
        {"config": name, "pool": pool, "low": 0.1, "high": 0.9}
        for name in ("notebook", "mine")
        for pool in ("dev", "seen", "unseen", "eval")
    ]
)
DIFFERENCES = pd.DataFrame(
    [{"config": "mine", "yardstick": "notebook", "attacks": "seen", "gain": 0.2, "low": 0.05, "high": 0.31}]
)
UNHEARD = pd.DataFrame(
    [{"config": "mine", "family": "tts", "seed": seed, "with": 0.1, "without": 0.2 + 0.1 * seed} for seed in (0, 1)]
)


def test_presets_and_files_share_corpus_and_limits(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: smoke\nepochs: 7\ncorpus: folder\n")
    shared = preset("default").replace(corpus="synthetic", max_s=9.0)
    found = compare.configurations(
        CompareOptions(configs=f"notebook, {tmp_path / 'mine.yaml'}+clip_s=1.5+backbone=vgg"), shared
    )
    assert list(found) == ["notebook", "mine+clip_s=1.5+backbone=vgg"]
    mine = found["mine+clip_s=1.5+backbone=vgg"]
    assert (mine.train.epochs, mine.window.clip_s, mine.model.backbone) == (7, 1.5, "vgg")
    assert {config.corpus.corpus for config in found.values()} == {"synthetic"}
    assert {config.audio.max_s for config in found.values()} == {9.0}
    spelled_out = compare.configurations(CompareOptions(configs="demo+backbone=lcnn+clip_s=1+epochs=38"), shared)
    assert list(spelled_out) == ["demo-lcnn"], "options of a preset are called by its name"
    with pytest.raises(ConfigError, match="--configs 'demo\\+speed=2': unknown option 'speed'"):
        compare.configurations(CompareOptions(configs="demo+speed=2"), shared)
    with pytest.raises(ConfigError, match=r"--configs 'fast': neither a preset .*nor a file"):
        compare.configurations(CompareOptions(configs="fast"), shared)


def test_families_are_names_with_patterns():
    assert compare.attack_families("tts=E00-P0[1-4]-*, A07; replay = E0[1-9]-*") == {
        "tts": "E00-P0[1-4]-*, A07",
        "replay": "E0[1-9]-*",
    }
    assert compare.attack_families("") == {}
    with pytest.raises(ConfigError, match="--families 'tts': expected NAME=PATTERN"):
        compare.attack_families("tts")


def test_the_table_has_means_intervals_and_gains():
    text = comparison.markdown(TABLE, INTERVALS, DIFFERENCES, UNHEARD)
    assert "mean of 2 seeds" in text
    assert "| mine, tts | 10.0 (10.0–10.0) | 25.0 (20.0–30.0) |" in text
    assert "| notebook | 40.0 (10.0–90.0) | 40.5 (10.0–90.0) | 80.0 (10.0–90.0) |" in text
    assert (
        "mine: 20.0 points under notebook on seen attacks (95 % interval of the paired difference 5.0 to 31.0)" in text
    )


def test_a_loss_is_told_as_one():
    worse = DIFFERENCES.assign(gain=-DIFFERENCES["gain"], low=-DIFFERENCES["high"], high=-DIFFERENCES["low"])
    text = comparison.markdown(TABLE, INTERVALS, worse, UNHEARD)
    assert "mine: 20.0 points over notebook on seen attacks (95 % interval of the paired difference 5.0 to 31.0)" in (
        text
    )


def test_names_of_many_changes_do_not_run_into_each_other():
    base = "demo+backbone=lcnn+clip_s=1+epochs=12"
    changes = ["", "+augment_strength=0", "+augment_strength=0+augment_stretch=0.3+augment_companding=0.3+n_bands=40"]
    table = pd.concat([TABLE[TABLE["config"] == "notebook"].assign(config=base + more) for more in changes])
    figure = comparison._draw(table, INTERVALS)
    assert figure.get_suptitle() == "all with backbone=lcnn, clip_s=1, epochs=12"
    figure.draw_without_rendering()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels][:2] == ["demo", "demo\n+ augment_strength=0"]
    boxes = [label.get_window_extent() for label in labels]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))


def test_pools_of_one_speaker_have_no_interval():
    trials = pd.DataFrame({"utterance_id": list("abcd"), "speaker": "me", "label": ["bonafide", "spoof"] * 2})
    scores = {
        ("notebook", 0): trials.assign(score=[1.0, 2.0, 3.0, 4.0]),
        ("mine", 0): trials.assign(score=[2.0, 1.0, 2.0, 1.0]),
    }
    names, pools = ["notebook", "mine"], {pool: np.full(4, True) for pool in ("dev", "seen", "eval")}
    intervals = compare._intervals(names, [0], scores, pools)
    differences = compare._differences(names, [0], scores, pools)
    assert len(intervals) == 6
    assert intervals[["low", "high"]].isna().all(axis=None)
    text = comparison.markdown(TABLE, intervals, differences, UNHEARD.iloc[:0])
    assert "| notebook | 40.0 | 40.5 | 80.0 | 40.0 |" in text
    assert "mine: 50.0 points under notebook on seen attacks (95 % interval of the paired difference not defined)" in (
        text
    )
    comparison._draw(TABLE, intervals).draw_without_rendering()


def test_the_figure_is_a_picture():
    assert comparison.picture(TABLE, INTERVALS).startswith(b"\x89PNG")


def test_what_is_trained_is_not_trained_again(synthetic_store, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "draw", lambda *_, **__: [])  # half of the time of an evaluation
    base = smoke.replace(epochs=1, backbone="gmm", components=2)
    configs = {"one": base, "one+components=3": base.replace(components=3)}
    table = compare.run(configs, [0, 1], synthetic_store.folder, tmp_path / "out")
    assert list(zip(table["config"], table["seed"], strict=True)) == [
        (name, seed) for name in configs for seed in (0, 1)
    ]
    assert np.isfinite(table[["dev", "eval", "seen", "parameters", "ms_per_clip", "size_mb"]]).all(axis=None)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("runs.csv", "intervals.csv", "differences.csv", "families.csv", "comparison.md", "comparison.png")
    }
    intervals = pd.read_csv(tmp_path / "out/intervals.csv")
    assert set(zip(intervals["config"], intervals["pool"], strict=True)) >= {
        (name, pool) for name in configs for pool in ("dev", "eval")
    }
    assert (intervals["low"] <= intervals["high"]).all()
    families = {"flat": sorted(set(synthetic_store.manifest["attack"]) - {"-"})[0]}
    compare.run({"one": base}, [1], synthetic_store.folder, tmp_path / "families", families)
    monkeypatch.setattr(loop, "fit", lambda *_: pytest.fail("trained again"))
    again = compare.run({"one": base}, [1], synthetic_store.folder, tmp_path / "again", families)
    assert again["dev"].item() == table["dev"].iat[1]
    families = pd.read_csv(tmp_path / "again/families.csv")
    assert list(families["config"]) == ["one"]
    assert families[["with", "without"]].map(lambda eer: 0 <= eer <= 1).all(axis=None)
