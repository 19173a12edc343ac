"""Single clips: which are chosen, what is drawn of them, and that the saliency adds up to what it explains."""

import io

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline.audio import bands
from pipeline.config import preset
from pipeline.evaluation import clips
from pipeline.evaluation.clips import choose, flac
from pipeline.metrics.calibration import Calibration
from pipeline.reporting import style
from pipeline.reporting.clip_figure import View, draw
from pipeline.scoring.detector import Detector


def trials(labels: str, scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"label": [{"b": "bonafide", "s": "spoof"}[c] for c in labels], "score": scores})


def test_the_surest_of_both_classes_and_the_worst_mistakes():
    table = trials("bbbbbsssss", [3.0, 9, 5, -4, 0.4, -1, -8, -2, 6, 2])
    right, wrong = choose(table, 0.5)
    assert sorted(right) == [1, 2, 6, 7]
    assert wrong == [8, 3, 9, 4]


def test_where_a_class_is_never_right_the_other_fills_up():
    assert choose(trials("bbbbbs", [1.0, 2, 3, 4, 5, 9]), 0.0) == ([4, 3, 2, 1], [5])
    assert choose(trials("b", [0.0]), 0.0) == ([0], [])


def test_the_sound_is_the_recording():
    wave = (np.arange(-50, 50) / 64).astype(np.float32)
    read, rate_hz = soundfile.read(io.BytesIO(flac(wave)), dtype="float32")
    assert (rate_hz, read.tolist()) == (16000, wave.tolist())


def view(saliency: bool, times: int = 5) -> View:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(34, 32))
    return View(
        0.5, 0.5, 2.0, seen, seen**3 if saliency else None, np.linspace(0.25, 1.75, times), rng.normal(size=times)
    )


@pytest.mark.parametrize("front_end", ["logmel", "logspec", "lfcc", "cqt"])
@pytest.mark.parametrize("saliency", [True, False])
def test_every_panel_is_labelled_and_inside(front_end, saliency):
    config = preset("smoke").replace(front_end=front_end, fmin_hz=62.5)
    figure = draw(view(saliency), "a title", threshold=0.3, config=config)
    assert style.png(figure, dpi=50).startswith(b"\x89PNG")
    panels = [axes for axes in figure.axes if axes.get_xlabel() or axes.get_images()]
    assert len(panels) == 2 + saliency
    assert all(axes.get_ylabel() for axes in panels)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02


@pytest.mark.parametrize("front_end", ["logmel", "logspec"])
def test_ticks_lie_at_the_bands_of_the_network(front_end):
    config = preset("smoke").replace(front_end=front_end, n_bands=32)
    _, centres_hz = bands.filters(config.front_end)
    axes = draw(view(True), "a title", threshold=0.3, config=config).axes[0]
    ticks = {label.get_text(): tick for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert len(ticks) >= 3
    for name, tick in ticks.items():
        assert tick == pytest.approx(np.interp(float(name.replace(",", "")), centres_hz, np.arange(32)), abs=0.15)


def test_the_window_that_decided_is_shown_and_scores_are_those_of_the_detector(make_model_folder, voice):
    model = make_model_folder()
    detector = Detector(model)
    seen = clips.view(model, detector, None, voice, up=True)
    starts = range(0, 24001, 4000)
    logits = detector.window_logits(np.stack([voice[s : s + 8000] for s in starts]))
    assert seen.start_s == 0.25 * np.argmax(logits)
    assert clips.view(model, detector, None, voice, up=False).start_s == 0.25 * np.argmin(logits)
    assert len(seen.times_s) >= 40
    assert (seen.times_s[0], seen.times_s[-1]) == (0.25, 1.75)
    assert seen.scores[0] == pytest.approx(Calibration(2.0, -0.5).apply(logits[0]), abs=1e-4)
    assert seen.spectrogram.shape[1] == 32
    short = clips.view(model, detector, None, voice[:4000], up=True)
    assert short.times_s.tolist() == [0.125]


@pytest.fixture(scope="module")
def explainer(tiny_model):
    from pipeline.network import saliency

    return saliency.Explainer(tiny_model[2], preset("smoke"))


def test_saliency_adds_up_to_what_the_spectrogram_adds_to_the_logit(explainer, tiny_model, voice):
    window = voice[:8000]
    spectrogram = explainer.spectrogram(window)
    whole = float(np.asarray(tiny_model[0](window[None]))[0, 0])
    assert explainer.logit(spectrogram) == pytest.approx(whole, abs=1e-4)
    gain = whole - explainer.logit(explainer.neutral(spectrogram))
    assert explainer.saliency(spectrogram, steps=256).sum() == pytest.approx(gain, rel=0.02, abs=0.01)


def test_saliency_of_a_linear_model_is_its_weights_times_the_spectrogram(tmp_path, voice):
    """A dense layer behind the front end has one right answer."""
    import keras

    from pipeline.network import front_end as frontend
    from pipeline.network import saliency

    config = preset("smoke")
    waveform = keras.Input((8000,), name="waveform")
    bands = frontend.spectrogram(waveform, config.front_end)
    model = keras.Model(waveform, keras.layers.Dense(1)(keras.layers.Flatten()(bands)))
    model.save(tmp_path / "model.keras")
    linear = saliency.Explainer(tmp_path / "model.keras", config)
    spectrogram = linear.spectrogram(voice[:8000])
    weights = model.layers[-1].kernel.numpy().reshape(spectrogram.shape)
    assert linear.saliency(spectrogram) == pytest.approx(weights * spectrogram, abs=1e-5)


def test_a_model_of_the_waveform_has_no_spectrogram_to_explain(tmp_path):
    import keras

    from pipeline.network import saliency

    waveform = keras.Input((8000,), name="waveform")
    keras.Model(waveform, keras.layers.Dense(1)(waveform)).save(tmp_path / "model.keras")
    assert not saliency.Explainer(tmp_path / "model.keras", preset("smoke")).has_spectrogram


@pytest.mark.parametrize("backbone", ["efficientnetb0", "lcnn", "vgg", "resnet18", "gmm"])
def test_every_backbone_can_be_explained(backbone, tmp_path, voice):
    from pipeline.network import networks, saliency

    config = preset("smoke").replace(backbone=backbone, clip_s=1.0)
    networks.build(config).save(tmp_path / "model.keras")
    found = saliency.Explainer(tmp_path / "model.keras", config)
    spectrogram = found.spectrogram(voice[:16000])
    map_ = found.saliency(spectrogram, steps=2)
    assert map_.shape == spectrogram.shape
    assert np.isfinite(map_).all()
    assert (np.abs(map_).max() > 0) == (backbone != "gmm")  # before they are fitted, both mixtures are the same
