"""Figures: what is drawn is what was given, everything is labelled and inside, and grey tells classes apart."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.stats import norm

from pipeline import metrics
from pipeline.config import PROJECT_ROOT
from pipeline.reporting import curves, store_figures, style

RNG = np.random.default_rng(0)
LABELS = np.arange(400) < 150
SCORES = RNG.normal(size=400) + 2.5 * LABELS - 1
ATTACKS = ["E01-P-espeak-R01", "E02-P02-R04", "A07", "unknown"]
FIGURES = {
    "training_curves": lambda: curves.training_curves(
        {f"{s}/{m}": [(e, 0.5 / (e + 1)) for e in range(9)] for s in ("train", "dev") for m in ("loss", "eer", "auc")},
        kept_epoch=6,
        title="Training: demo-0123456789ab",
    ),
    "one_epoch": lambda: curves.training_curves({"dev/loss": [(0, 0.7)]}),
    "confusion": lambda: curves.confusion(metrics.Confusion(140, 10, 3000, 9008), threshold=-0.264),
    "roc": lambda: curves.roc({"dev": (SCORES, LABELS), "eval": (-SCORES, LABELS)}),
    "det": lambda: curves.det({"dev": (SCORES, LABELS), "eval": (SCORES.round(), LABELS)}),
    "det_separated": lambda: curves.det({"eval": (np.array([2.0, 1.0, 0.0]), np.array([True, False, False]))}),
    "scores": lambda: curves.score_histogram(SCORES, LABELS, threshold=0.3, threshold_name="min_dcf"),
    "scores_of_one_class": lambda: curves.score_histogram(np.ones(4), np.zeros(4, bool), threshold=0.0),
    "reliability": lambda: curves.reliability({"calibrated": SCORES, "before calibration": 3 * SCORES}, LABELS),
    "reliability_of_two": lambda: curves.reliability({"calibrated": np.array([1.0, -1.0])}, np.array([True, False])),
    "attacks": lambda: curves.attack_eer(
        ATTACKS,
        [0.1, 0.3, 0.0, 0.2],
        [(0.05, 0.2), (0.2, 0.45), (0.0, 0.0), None],
        seen=[True, False, True, None],
        trials=[40, 1200, 3, 7],
        overall=0.17,
    ),
    "many_attacks": lambda: curves.attack_eer(
        [f"E0{i}-P{i}-R0{i}" for i in range(57)],
        [i / 100 for i in range(57)],
        [None] * 57,
        seen=[True] * 57,
        trials=[1] * 57,
    ),
    "mel": lambda: store_figures.mel_spectrogram(
        RNG.normal(size=(40, 90)) - 40, hop_s=0.01, band_hz=np.geomspace(60, 7900, 40), title="bonafide: D_1000001"
    ),
}


def luminance(color: str) -> float:
    """Relative luminance by Rec. 709, of linear light."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_labelled_and_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    picture = style.png(figure, dpi=60)
    assert picture.startswith(b"\x89PNG")
    axes = figure.axes[0]
    assert axes.get_xlabel()
    assert axes.get_ylabel() or name.endswith("attacks")
    width, height = figure.bbox.size
    box = figure.get_tightbbox()
    assert box.x0 * figure.dpi >= -1
    assert box.y0 * figure.dpi >= -1
    assert box.x1 * figure.dpi <= width + 1
    assert box.y1 * figure.dpi <= height + 1


def test_drawing_leaves_the_settings_of_the_caller_alone():
    before = dict(mpl.rcParams)
    FIGURES["roc"]()
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported():
    code = "import sys, pipeline.reporting.curves; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=False).returncode == 0


def test_classes_differ_in_lightness_and_hatching():
    bonafide, spoof = style.BONAFIDE_LOOK, style.SPOOF_LOOK
    assert luminance(spoof["facecolor"]) > 2 * luminance(bonafide["facecolor"])
    assert ("hatch" in spoof, "hatch" in bonafide) == (True, False)
    styles = [look["linestyle"] for look in style.LINES]
    assert len(set(styles)) == len(styles)


def test_training_curves_draw_every_epoch_from_one_and_mark_the_kept_one():
    eer = FIGURES["training_curves"]().axes[1]
    train, dev, kept = eer.lines
    assert train.get_xdata().tolist() == list(range(1, 10))
    assert dev.get_ydata() == pytest.approx([50 / e for e in range(1, 10)])
    assert kept.get_xdata() == [7, 7]


def test_confusion_shows_counts_and_shares_of_rows():
    texts = [text.get_text() for text in FIGURES["confusion"]().axes[0].texts]
    assert texts == ["140", "93.3 %", "10", "6.7 %", "3,000", "25.0 %", "9,008", "75.0 %"]


def test_roc_goes_from_corner_to_corner_and_its_area_is_the_auc():
    line = FIGURES["roc"]().axes[0].lines[0]
    x, y = np.array(line.get_xdata()) / 100, np.array(line.get_ydata()) / 100
    assert {(x[0], y[0]), (x[-1], y[-1])} == {(0, 0), (1, 1)}
    assert abs(np.trapezoid(y, x)) == pytest.approx(metrics.auc(SCORES, LABELS))
    assert f"AUC {metrics.auc(SCORES, LABELS):.4f}" in line.get_label()


def test_roc_of_ties_is_one_slope():
    figure = curves.roc({"eval": (np.zeros(4), np.array([True, False, True, False]))})
    assert np.array(figure.axes[0].lines[0].get_xydata()).tolist() == [[100, 100], [0, 0]]


def test_det_marks_the_equal_error_rate_on_probit_axes():
    axes = FIGURES["det"]().axes[0]
    rate = metrics.eer(SCORES, LABELS)
    mark = next(line for line in axes.lines if f"EER {100 * rate:.2f} %" in str(line.get_label()))
    assert mark.get_xydata().tolist() == [pytest.approx([norm.ppf(rate)] * 2)]
    assert [t.get_text() for t in axes.get_xticklabels()] == [f"{p:g}" for p in curves.PERCENT_TICKS]
    assert axes.get_xticks() == pytest.approx(norm.ppf(np.array(curves.PERCENT_TICKS) / 100))


def test_histogram_bars_of_each_class_sum_to_everything():
    axes = FIGURES["scores"]().axes[0]
    for patch in axes.patches:
        x, y = patch.get_xy().T
        area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
        width = np.diff(np.unique(x)).min()
        assert area / width == pytest.approx(100)
    assert axes.lines[0].get_xdata() == [0.3, 0.3]


def test_reliability_finds_a_calibrated_score_on_the_diagonal():
    spread = norm.ppf((np.arange(4000) + 0.5) / 4000)
    for bonafide, spoof in ((spread[::4], spread), (spread, spread[::4])):
        scores = 2 * np.concatenate([1 + bonafide, spoof - 1])
        figure = curves.reliability({"calibrated": scores}, np.arange(len(scores)) < len(bonafide))
        stated, found = figure.axes[0].containers[0].lines[0].get_data()
        assert np.array(found) == pytest.approx(np.array(stated), abs=0.02)


def test_attacks_are_drawn_hardest_first_with_interval_and_count():
    axes = FIGURES["attacks"]().axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["E02-P02-R04", "unknown", "E01-P-espeak-R01", "A07"]
    bars = {bar.get_y() + bar.get_height() / 2: bar for group in axes.containers for bar in group}
    assert [bars[y].get_width() for y in sorted(bars)] == pytest.approx([30, 20, 10, 0])
    assert [bool(bars[y].get_hatch()) for y in sorted(bars)] == [True, False, False, False]
    spans = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "|"]
    assert spans == [pytest.approx([20, 45]), pytest.approx([5, 20]), pytest.approx([0, 0])]
    assert {"30.0 %", "1,200"} <= {text.get_text() for text in axes.texts}


def test_of_many_attacks_the_hardest_are_drawn_and_the_title_says_so():
    figure = FIGURES["many_attacks"]()
    assert len(figure.axes[0].get_yticks()) == curves.MAX_BARS
    assert figure.legends[0].get_title().get_text().endswith("the hardest 40 of 57")


def test_the_spectrogram_has_seconds_hertz_and_decibels():
    axes, bar = FIGURES["mel"]().axes
    assert axes.get_xlim() == (0, pytest.approx(0.9))
    assert (axes.get_xlabel(), bar.get_ylabel()) == ("Time (s)", "Level (dB)")
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["250", "500", "1,000", "2,000", "4,000", "8,000"]
    bands = np.geomspace(60, 7900, 40)
    assert np.interp(axes.get_yticks()[:-1], np.arange(40), bands) == pytest.approx([250, 500, 1000, 2000, 4000])
