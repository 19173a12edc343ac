"""Benchmarks: medians, targets and the table on values made by hand, and the runner with real processes."""

import json

import numpy as np
import pytest

from benchmarks import compared, notebook, recordings, run
from benchmarks.compared import Figure, Line
from pipeline import audio, corpora
from pipeline.errors import ConfigError
from pipeline.store.build import build
from pipeline.store.store import Store


def test_contenders_take_turns_and_the_order_turns_round(capsys):
    calls = []
    contenders = {name: lambda n=name: calls.append(n) or float(len(calls)) for name in "abc"}
    taken = compared.measured(contenders, repetitions=3, unit="clips/s")
    assert calls == list("abccbaabc")
    assert taken == {"a": [1.0, 6.0, 7.0], "b": [2.0, 5.0, 8.0], "c": [3.0, 4.0, 9.0]}
    assert "round 2/3: c 4.000 clips/s" in capsys.readouterr().err
    assert compared.ratios(taken["b"], taken["a"]) == [2.0, 5 / 6, 8 / 7]


def test_the_median_decides_a_target_in_either_direction():
    values = [0.5, 2.0, 9.0]
    assert Figure("×", values, 2).met
    assert not Figure("×", values, 2.1).met
    assert Figure("s", values, 2, at_most=True).met
    assert not Figure("s", values, 1.9, at_most=True).met
    assert Figure("s", values).met
    assert Figure("× the loop", [0.512, 123.4, 9.0]).measured == "9 (0.512 to 123) × the loop"


LINES = [name for names in run.MODULES.values() for name in names]
LINE = Line(
    name="batch_scoring",
    what="ours",
    against="theirs",
    figures=[
        Figure("× theirs", [11.0, 12.0, 12.5], 12),
        Figure("s", [1.0, 1.2, 3.0], 1, True, [0.5, 0.6, 0.9], "disk"),
    ],
    taken={"us": [1.0, 2.0, 4.0]},
    note="8 clips",
)


def test_a_line_is_printed_with_its_targets_and_survives_json(tmp_path, capsys):
    options = compared.Options(json=str(tmp_path / "lines.json"))
    assert compared.finish([LINE], options) == 1
    (kept,) = (Line.of(values) for values in json.loads((tmp_path / "lines.json").read_text()))
    assert kept == LINE
    shown = capsys.readouterr().out.splitlines()
    assert "   12 (11 to 12.5) × theirs, target ≥ 12: pass" in shown
    assert "   1.2 (1 to 3) s, target ≤ 1: miss (limit 0.6, disk)" in shown
    assert compared.table([LINE]).splitlines()[2:] == [
        "| `batch_scoring` | ours | theirs | 12 (11 to 12.5) × theirs<br>1.2 (1 to 3) s | ≥ 12<br>≤ 1 | pass<br>miss | "
        "-<br>0.6, disk |",
        "",
        "| name | contender | median (min to max) | on |",
        "|---|---|---|---|",
        "| `batch_scoring` | us | 2 (1 to 4) s | 8 clips |",
    ]


def test_every_line_belongs_to_one_benchmark():
    assert len(LINES) == len(set(LINES)) == 13
    assert run.chosen("bootstrap, preprocess_of_decoding") == ["preprocess", "bootstrap"]
    assert run.chosen("") == list(run.MODULES)
    for wrong in ("14", "warm_start"):
        with pytest.raises(ConfigError, match=wrong):
            run.chosen(wrong)


def test_the_recordings_are_those_of_the_corpus_in_other_formats(smoke, synthetic_corpus):
    config = smoke.replace(data_dir=str(synthetic_corpus))
    known, _ = corpora.read(config.corpus)
    table, rejected = corpora.read(recordings.mixed(config, copies=2).corpus)
    assert not rejected
    assert len(table) == 2 * len(known)
    assert set(table["path"].str.rsplit(".").str[-1]) == {"wav", "flac", "mp3", "ogg", "opus"}
    for row in known.iloc[:8].itertuples():
        (first, second) = (path for path in table["path"] if row.utterance_id in path)
        wave, other = audio.decode(row.path), audio.decode(first)
        assert len(wave) == pytest.approx(len(other), abs=1600)
        assert np.sqrt(np.mean(wave**2)) == pytest.approx(np.sqrt(np.mean(other**2)), rel=0.3)
        assert np.array_equal(other, audio.decode(second))


def test_many_names_keep_their_utterances(tmp_path):
    config = recordings.many(tmp_path, 24)
    table, rejected = corpora.read(config.corpus)
    build(table, rejected, config, tmp_path / "store", name="synthetic", split_by="official", key="0")
    store = Store.open(tmp_path / "store")
    assert len(store) == 24
    assert store.manifest["sha256"].nunique() == 6


def test_the_notebook_reads_one_second_in_decibels_below_its_maximum(voice, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", voice, 16000)
    spectrogram = notebook.features(notebook.load(str(tmp_path / "a.wav")))
    assert spectrogram.shape == (128, 32)
    assert spectrogram.max() == 0.0
    assert spectrogram.min() >= -80.0


@pytest.fixture
def arguments(synthetic_corpus, tmp_path):
    """The runner's command line on the synthetic corpus, and the file of its table."""
    output = tmp_path / "results.md"
    corpus = ["--preset", "smoke", "--corpus", "synthetic", "--data_dir", str(synthetic_corpus)]
    return ["--quick", "--output", str(output), *corpus], output


def test_a_benchmark_that_fails_stops_no_other_and_what_is_measured_is_kept(arguments, tmp_path, capfd):
    options, output = arguments
    missing = tmp_path / "missing"
    for _ in range(2):
        assert run.main([*options, "--lines", "batch_scoring_of_litert,bootstrap", "--model", str(missing)]) == 1
        table = output.read_text()
        assert "| `bootstrap` | bootstrap interval of the EER |" in table
        assert f"- `benchmarks.scoring` failed: error: {missing}: no model folder" in table
    shown = capfd.readouterr().out
    assert shown.count("== scoring: batch_scoring, batch_scoring_of_litert") == 2
    assert shown.count("== bootstrap: bootstrap") == 1, "what was measured is not measured again"
    assert run.main([*options, "--lines", "bootstrap", "--model", str(missing), "--again"]) == 0
    assert "== bootstrap: bootstrap" in capfd.readouterr().out


def test_the_runner_measures_batch_scoring(arguments, make_model_folder):
    options, output = arguments
    assert run.main([*options, "--lines", "batch_scoring", "--model", str(make_model_folder().folder)]) == 0
    table = output.read_text()
    for name in ("batch_scoring", "batch_scoring_of_litert"):
        assert f"\n| `{name}` | " in table
    assert "Made with `--quick`" in table
    assert "cores" in table


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_runner_measures_every_line(arguments, make_model_folder):
    options, output = arguments
    assert run.main([*options, "--model", str(make_model_folder().folder)]) == 0
    table = output.read_text()
    for name in LINES:
        assert f"\n| `{name}` | " in table
