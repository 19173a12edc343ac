"""The detector: the same logits as Keras, one at a time or together, and the rows they become."""

import dataclasses
import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.page import view
from pipeline.scoring import detector, parties
from pipeline.scoring.detector import Detector
from pipeline.scoring.pool import Pool
from tests.support.made_windows import scored_windows
from tests.support.talk import talk


@pytest.fixture
def loaded(make_model_folder) -> Detector:
    return Detector(make_model_folder())


def test_window_logits_are_those_of_keras(loaded, tiny_model):
    windows = np.random.default_rng(0).normal(0, 0.1, (37, 8000)).astype(np.float32)
    expected = tiny_model[0].predict(windows, verbose=0)[:, 0]
    np.testing.assert_allclose(loaded.window_logits(windows), expected, atol=1e-3)


def test_utterances_score_alike_alone_and_together(loaded):
    rng = np.random.default_rng(1)
    waves = [rng.normal(0, 0.1, n).astype(np.float32) for n in (3000, 8000, 20000, 100, 150000)]
    together = list(loaded.utterance_logits(iter(waves)))
    assert together == pytest.approx([loaded.utterance_logit(w) for w in waves], abs=1e-5)


def test_utterance_logit_is_the_mean_over_windows(loaded):
    wave = np.random.default_rng(2).normal(0, 0.1, 14000).astype(np.float32)
    parts = np.stack([wave[:8000], wave[4000:12000], wave[6000:14000]])
    assert loaded.utterance_logit(wave) == pytest.approx(loaded.window_logits(parts).mean(), abs=1e-5)


def test_row_of_a_recording(loaded, voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice), 16000)
    row = loaded.row("a.wav", tmp_path / "a.wav")
    wave = audio.decode(tmp_path / "a.wav")
    assert row.score == pytest.approx(2 * loaded.utterance_logit(wave) - 0.5)
    assert row.spoof_probability == pytest.approx(1 / (1 + math.exp(row.score)))
    assert (row.start_s, row.end_s, row.duration_s) == (0.0, 2.0, 2.0)
    assert row.model_version == "tiny-1"
    assert row.latency_ms > 0
    assert (row.error, row.note) == ("", "")


def test_a_note_on_the_recording_stands_in_its_rows(loaded, voice):
    encoded = io.BytesIO()
    soundfile.write(encoded, audio.to_int16(voice), 16000, format="WAV")
    cut = encoded.getvalue()[:40044]
    note = "truncated: the header promises 64000 bytes, the file holds 40000"
    row = loaded.row("x", cut)
    assert (row.duration_s, row.note) == (1.25, note)
    assert (bool(row.label), row.error) == (True, "")
    assert {window.note for window in loaded.rows("x", cut, point=loaded.model.point(), timeline=True)} == {note}


def test_label_follows_threshold_and_speech(loaded):
    point = loaded.model.point(threshold=1.5)
    just = 10 * [0.9] + 22 * [0.4]  # 0.32 s of speech
    alike = {"window_s": 1.0, "hop_s": 1.0, "calibration": loaded.model.calibration}
    assert loaded.whole_row("x", scored_windows([1.0], speech=just, **alike), point).label == "bonafide"
    assert loaded.whole_row("x", scored_windows([0.99], speech=just, **alike), point).label == "spoof"
    silent = loaded.whole_row("x", scored_windows([1.0], speech=9 * [0.9] + 23 * [0.4], **alike), point)
    assert silent.label == detector.NO_SPEECH
    assert (silent.speech_s, silent.score) == (pytest.approx(0.288), pytest.approx(1.5))


def test_a_window_is_judged_by_its_own_logit_and_speech(loaded):
    chunks = [0.0] * 8 + [1.0] * 12 + [0.0] * 12  # speech from 0.256 to 0.64 s
    rows = loaded.window_rows(
        "x",
        scored_windows([3.0, -3.0, 3.0], speech=chunks, window_s=0.5, hop_s=0.25),
        loaded.model.point(),
    )
    assert [(r.start_s, r.end_s) for r in rows] == [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0)]
    assert [r.speech_s for r in rows] == pytest.approx([0.244, 0.384, 0.14])
    assert [r.label for r in rows] == ["no_speech", "spoof", "no_speech"]
    assert [r.score for r in rows] == pytest.approx([5.5, -6.5, 5.5])
    assert {r.duration_s for r in rows} == {1.0}


def test_a_spoofed_segment_makes_a_bonafide_recording_partly_spoof(loaded):
    point, alike = loaded.model.point(threshold=0.0), {"window_s": 0.5, "hop_s": 0.25}
    alike |= {"calibration": loaded.model.calibration}
    logits = [3.0] * 24 + [-3.0] * 6 + [3.0] * 9
    found = loaded.whole_row("x", scored_windows(logits, **alike), point)
    assert (found.label, found.score > 0) == ("partly_spoof", True)
    assert (found.worst_score, found.worst_start_s, found.worst_end_s) == pytest.approx((-6.5, 6.125, 7.625))
    fake = loaded.whole_row("x", scored_windows([-3.0] * 39, **alike), point)
    assert (fake.label, fake.worst_score, fake.worst_start_s, fake.worst_end_s) == pytest.approx(("spoof", -6.5, 0, 10))
    logits[24:30] = [3.0, -0.5, 3.0, 3.0, 3.0, 3.0]
    live = loaded.whole_row("x", scored_windows(logits, **alike), point)
    assert (live.label, live.worst_score, live.worst_start_s, live.worst_end_s) == ("bonafide", -1.5, 6.25, 6.75)


@pytest.mark.parametrize("silence_db", [-np.inf, -65])
@pytest.mark.parametrize(("before_s", "behind_s"), [(0, 1), (0, 60), (1.2345, 0), (3, 3)])
def test_silence_around_a_recording_has_no_vote(loaded, silence_db, before_s, behind_s):
    rng, level = np.random.default_rng(0), 10 ** (silence_db / 20)
    ends = [level * rng.standard_normal(int(16000 * s)) for s in (before_s, behind_s)]
    alone = loaded.whole_row("x", loaded.score_windows(talk()), loaded.model.point())
    padded = np.concatenate([ends[0], talk(), ends[1]]).astype(np.float32)
    found = loaded.whole_row("x", loaded.score_windows(padded), loaded.model.point())
    assert (found.label, found.score) == (alone.label, pytest.approx(alone.score, abs=1e-4))
    assert (found.worst_score, found.worst_start_s) == pytest.approx(
        (alone.worst_score, alone.worst_start_s + before_s)
    )


def test_silence_within_a_recording_has_no_vote(loaded):
    silence = np.zeros(80000, np.float32)
    scored = loaded.score_windows(np.concatenate([talk(), silence, talk(seed=3)]))
    assert (scored.spoken == scored.counted).all()
    assert not scored.spoken.all()
    assert scored.logit == pytest.approx(scored.logits[scored.spoken].mean())
    nothing = loaded.score_windows(silence)
    assert nothing.counted.all()


def marked(batch: np.ndarray) -> np.ndarray:
    """Logits of a network that takes a constant offset for spoof."""
    return np.where(batch.mean(axis=1) > 0.01, -3.0, 3.0)


def test_score_page_and_analysis_agree(loaded, tmp_path):
    detector = Detector(loaded.model, network=marked)
    parts = {"live": talk(6), "partly": np.concatenate([talk(6), talk(3, seed=4) + 0.02, talk(6, seed=3)])}
    parts |= {"fake": talk(4) + 0.02, "silent": np.full(32000, 0.001, np.float32)}
    parts["padded"] = np.concatenate([parts["partly"], np.zeros(160000, np.float32)])
    labels = {"live": "bonafide", "partly": "partly_spoof", "fake": "spoof", "silent": "no_speech"}
    for name, wave in parts.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, audio.to_int16(wave), 16000)
        row = detector.row("", path)
        shown = view.view(detector, path.read_bytes(), limits=audio.DEFAULT_LIMITS)
        (party,) = parties.find(
            lambda path=path: audio.blocks(path), detector, mixed=True, point=detector.model.point()
        )
        assert row.label == labels.get(name, "partly_spoof"), name
        for other in (shown["row"], dataclasses.asdict(party.row)):
            for field in set(other) - {"latency_ms"}:
                assert other[field] == pytest.approx(getattr(row, field), abs=1e-5), (name, field)
        segments = [dataclasses.asdict(found) for found in party.spoofed_segments]
        assert [s["start_s"] for s in shown["spoofed_segments"]] == [s["start_s"] for s in segments]
        assert bool(segments) == (row.label in ("spoof", "partly_spoof")), name


def test_timeline_shows_the_windows_whose_mean_is_the_score(loaded, voice):
    encoded = io.BytesIO()
    soundfile.write(encoded, audio.to_int16(voice), 16000, format="WAV")
    rows = loaded.rows("x", encoded.getvalue(), point=loaded.model.point(), timeline=True)
    assert [r.start_s for r in rows] == [0.25 * i for i in range(7)]
    assert np.mean([r.score for r in rows]) == pytest.approx(loaded.row("x", encoded.getvalue()).score, abs=1e-5)


def test_timeline_shows_every_window_even_where_the_first_alone_is_scored(loaded, voice):
    config = loaded.model.config.replace(windows="first")
    first = Detector(dataclasses.replace(loaded.model, config=config))
    rows = first.window_rows("x", first.score_windows(voice), first.model.point())
    assert len(rows) == 7
    assert loaded.model.calibration.apply(first.utterance_logit(voice)) == pytest.approx(rows[0].score, abs=1e-5)


@pytest.mark.parametrize(("mode", "hop", "count"), [("consecutive", 8000, 4), ("spread", 6000, 5)])
def test_the_windows_of_the_score_are_all_that_a_recording_costs(loaded, voice, mode, hop, count):
    config = loaded.model.config.replace(windows=mode)
    scored = Detector(dataclasses.replace(loaded.model, config=config)).score_windows(voice)
    assert scored.starts.tolist() == [hop * number for number in range(count)]
    assert scored.counted.all()
    assert scored.located.all()


def test_a_pool_scores_from_many_threads_as_one_detector_does(loaded):
    waves = [np.random.default_rng(seed).normal(0, 0.1, 4000 * (1 + seed % 5)).astype(np.float32) for seed in range(40)]
    pool = Pool(loaded.model, size=2)

    def score(wave: np.ndarray) -> tuple[float, bytes]:
        with pool.detector() as lent:
            scored = lent.score_windows(wave)
            return float(scored.logits.mean()), scored.speech.chunks.tobytes()

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(score, waves))
    assert [logit for logit, _ in together] == pytest.approx([loaded.utterance_logit(w) for w in waves], abs=1e-5)
    assert [chunks for _, chunks in together] == [loaded.score_windows(w).speech.chunks.tobytes() for w in waves]


def test_what_cannot_be_decoded_gets_its_error_and_no_score(loaded, tmp_path):
    (tmp_path / "x.raw").write_bytes(b"RIFF nonsense")
    for recording in (b"nonsense", tmp_path / "x.raw"):
        row = loaded.row("x", recording)
        assert row.error.startswith("unreadable")
        assert str(tmp_path) not in row.error
        assert (row.score, row.spoof_probability, row.label) == (None, None, "")


def test_an_error_that_nobody_expected_is_that_of_the_row(loaded, monkeypatch, tmp_path):
    def failing(source, **options):
        raise TypeError(f"no layout\nfor '{source}'")

    monkeypatch.setattr(audio, "read", failing)
    row = loaded.row("x", tmp_path / "a.raw")
    assert (row.error, row.score, row.label) == ("unexpected error: TypeError: no layout for 'a.raw'", None, "")
    shown = view.view(loaded, b"a", limits=audio.DEFAULT_LIMITS)
    assert shown["row"]["error"] == "unexpected error: TypeError: no layout for 'b'a''"
    assert shown["verdict"]["tone"] == "error"


@pytest.mark.parametrize(
    ("score", "prior", "expected"),
    [(0.0, 0.5, 0.5), (math.log(3), 0.5, 0.25), (0.0, 0.05, 0.05), (-1e6, 0.5, 1.0), (1e6, 0.5, 0.0)],
)
def test_spoof_probability_is_bayes_rule(score, prior, expected):
    assert detector.spoof_probability(score, prior) == pytest.approx(expected)
