"""Presets, flat names and fingerprints of the configuration."""

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from pipeline.config import PRESETS, SECTIONS, Config, artifacts_dir, fingerprint, preset
from pipeline.errors import ConfigError


def test_default_preset_is_the_field_defaults():
    assert preset("default") == Config()


@pytest.mark.parametrize("name", PRESETS)
def test_preset_changes_exactly_what_it_lists(name):
    before, after = Config().flat(), preset(name).flat()
    assert {n: after[n] for n in after if after[n] != before[n]} == {
        **{n: v for n, v in PRESETS[name].items() if v != before[n]},
        **({"preset": name} if name != "default" else {}),
    }


@pytest.mark.parametrize("name", PRESETS)
def test_preset_values_have_their_fields_type_and_are_allowed(name):
    fields = {f.name: f for cls in SECTIONS.values() for f in dataclasses.fields(cls)}
    for option, value in preset(name).flat().items():
        if option == "preset":
            continue
        assert type(value) in (get_args(fields[option].type) or (fields[option].type,)), option
        choices, several = (fields[option].metadata[name] for name in ("choices", "several"))
        if choices and type(value) is not bool:
            assert set(value.split(",") if several else [value]) <= set(choices), option


def test_notebook_is_the_original_notebooks_training():
    config = preset("notebook")
    assert (config.window.clip_s, config.train.crop, config.window.pad, config.window.windows) == (
        1.0,
        "first",
        "zero",
        "first",
    )
    assert (config.front_end.n_mels, config.front_end.n_fft, config.front_end.hop_samples) == (128, 2048, 512)
    assert (config.train.balance, config.train.batch_size) == (False, 32)
    assert (config.train.schedule, config.train.epochs, config.train.keep) == ("constant", 10, "last")


def test_default_is_the_published_design():
    config = preset("default")
    assert (config.front_end.front_end, config.model.backbone, config.model.stages) == ("logmel", "efficientnetb0", 7)
    assert (config.model.dense_units, config.model.weights, config.model.rescale_input) == (256, "none", False)


MEASURED = {
    "logspec": {"front_end": "logspec", "stages": 4, "clip_s": 4.0, "batch_size": 32, "epochs": 60},
    "demo": {"front_end": "logspec", "stages": 4, "clip_s": 2.0, "batch_size": 8, "epochs": 6},
    "demo-lcnn": {"front_end": "logspec", "backbone": "lcnn", "clip_s": 1.0, "batch_size": 8, "epochs": 38},
    "gmm": {"front_end": "lfcc", "backbone": "gmm", "components": 64, "clip_s": 4.0, "epochs": 10},
    "notebook": {"front_end": "logmel", "n_mels": 128, "stages": 7, "normalisation": "peak", "rescale_input": True},
}
"""Options of the networks whose accuracy is documented."""


@pytest.mark.parametrize("name", MEASURED)
def test_presets_with_documented_accuracy_keep_their_networks(name):
    common = {"weights": "none", "n_bands": 100, "n_coefficients": 20, "dense_units": 256, "learning_rate": 1e-3}
    assert preset(name).flat().items() >= (common | MEASURED[name]).items()


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="'demmo'; choose one of default, logspec, demo, demo-lcnn, smoke, gmm"):
        preset("demmo")


def test_option_names_are_unique_over_the_sections():
    names = [f.name for cls in SECTIONS.values() for f in dataclasses.fields(cls)]
    assert len(names) == len(set(names))


def test_every_option_explains_itself():
    fields = [f for cls in SECTIONS.values() for f in dataclasses.fields(cls)]
    assert all(f.metadata["help"] for f in fields)


def test_replace_finds_the_section_and_leaves_the_original():
    config = Config()
    changed = config.replace(epochs=3, corpus="folder")
    assert (changed.train.epochs, changed.corpus.corpus) == (3, "folder")
    assert (config.train.epochs, config.corpus.corpus) == (60, "demo")


def test_replace_refuses_an_unknown_name():
    with pytest.raises(ConfigError, match=r"unknown option 'epoch'; known: .*epochs"):
        Config().replace(epoch=3)


def test_fingerprint_depends_only_on_values():
    assert fingerprint(Config()) == fingerprint(Config())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint(Config())) == 12
    assert int(fingerprint(Config()), 16) >= 0


@pytest.mark.parametrize(
    "change", [{"epochs": 59}, {"min_s": 0.25}, {"parts": "eval"}, {"balance": False}, {"n_mels": 81}]
)
def test_fingerprint_changes_with_any_value(change):
    assert fingerprint(Config().replace(**change)) != fingerprint(Config())


def test_artifacts_folder_is_the_environments_or_the_projects(monkeypatch, tmp_path):
    monkeypatch.setenv("SPOOF_ARTIFACTS", str(tmp_path))
    assert artifacts_dir() == tmp_path.resolve()
    monkeypatch.setenv("SPOOF_ARTIFACTS", "")
    assert artifacts_dir() == Path(__file__).resolve().parent.parent / "artifacts"
