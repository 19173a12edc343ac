"""Picture of one clip: spectrogram, saliency of its parts, and score over time."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline.audio import band_filters
from pipeline.config import Config, FrontEndConfig
from pipeline.reporting import style

SALIENCY = LinearSegmentedColormap.from_list("saliency", ["#b35806", "#f1a340", "#ffffff", "#5a8fc7", "#08306b"])
"""Orange is evidence for spoof; blue, darker at the same strength, is evidence for bonafide."""
SMOOTHED_FRAMES, SMOOTHED_BANDS = 2.0, 1.0


@dataclass(frozen=True)
class View:
    """Data of the picture.

    ``spectrogram`` ``[frames, bands]`` is of the window that begins at ``start_s``, ``saliency`` of the same shape or
    ``None``. ``times_s`` and ``scores`` ``[windows]`` are middles and scores of windows over the whole clip.
    """

    start_s: float
    window_s: float
    duration_s: float
    spectrogram: np.ndarray
    saliency: np.ndarray | None
    times_s: np.ndarray
    scores: np.ndarray


@style.styled
def draw(seen: View, title: str, *, threshold: float, config: Config) -> Figure:
    """Draw spectrogram and saliency of a window of one clip, and below them the score over the whole clip."""
    panels = 3 if seen.saliency is not None else 2
    figure = Figure(figsize=(7.4, 2.3 * panels + 0.4), layout="constrained")
    axes = figure.subplots(panels, 1, height_ratios=[1.25] * (panels - 1) + [0.9])
    spectrogram = axes[0].imshow(seen.spectrogram.T, cmap="magma", **_extent(seen))
    looks = config.front_end.normalisation == "cmvn" and seen.saliency is not None
    figure.colorbar(spectrogram, ax=axes[0], pad=0.01).set_label("deviations" if looks else "dB")
    axes[0].set_title("Input of the network" if seen.saliency is not None else "Log-mel spectrogram", fontsize=11)
    if seen.saliency is not None:
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(seen.saliency, (SMOOTHED_FRAMES, SMOOTHED_BANDS))
        reach = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
        picture = axes[1].imshow(smooth.T, cmap=SALIENCY, vmin=-reach, vmax=reach, **_extent(seen))
        bar = figure.colorbar(picture, ax=axes[1], pad=0.01, ticks=[-reach, 0, reach])
        bar.ax.set_yticklabels(["spoof", "0", "bonafide"])
        axes[1].set_title("Evidence for each class", fontsize=11)
    for panel in axes[:-1]:
        _frequencies(panel, seen, config.front_end)
        panel.grid(False)
        panel.tick_params(labelbottom=panel is axes[-2])
    axes[-2].set_xlabel("Time of the window (s)")
    _over_time(axes[-1], seen, threshold)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _extent(seen: View) -> dict:
    bands = seen.spectrogram.shape[1]
    times = (seen.start_s, seen.start_s + seen.window_s)
    return {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": (*times, -0.5, bands - 0.5)}


def _frequencies(axes: Axes, seen: View, settings: FrontEndConfig) -> None:
    """Set ticks in Hz if bands have a frequency, else the number of the coefficient."""
    bands = seen.spectrogram.shape[1]
    edges_hz = settings.fmin_hz, settings.fmax_hz
    kind = settings.front_end if seen.saliency is not None else "logmel"
    if kind == "lfcc":
        axes.set_ylabel("Coefficient")
        return
    if kind == "logmel":
        centres_hz = band_filters.mel_centres_hz(bands, *edges_hz)
    elif kind == "cqt":
        centres_hz = edges_hz[0] * 2 ** (np.arange(bands) / settings.bins_per_octave)
    else:
        centres_hz = np.linspace(*edges_hz, bands + 2)[1:-1]
    wanted = (2000, 4000, 6000, 8000) if kind == "logspec" else (250, 500, 1000, 2000, 4000, 8000)
    shown = [hz for hz in wanted if centres_hz[0] <= hz <= 1.02 * centres_hz[-1]]
    axes.set_yticks(np.interp(shown, centres_hz, np.arange(bands)), [f"{hz:,}" for hz in shown])
    axes.set_ylabel("Frequency (Hz)")


def _over_time(axes: Axes, seen: View, threshold: float) -> None:
    axes.axvspan(seen.start_s, seen.start_s + seen.window_s, color="#ececec", linewidth=0, label="window shown")
    if len(seen.times_s) > 1:
        axes.plot(seen.times_s, seen.scores, color=style.BLUE, label="score of the window around it")
    else:
        axes.hlines(seen.scores, 0, seen.duration_s, color=style.BLUE, label="score of the only window")
    axes.axhline(threshold, color=style.INK, linestyle="--", linewidth=1.4, label="threshold")
    axes.set(
        xlabel="Time of the clip (s)",
        ylabel="Score (nats)",
        xlim=(0, max(seen.duration_s, seen.start_s + seen.window_s)),
    )
    axes.margins(y=0.2)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.34), ncols=3, fontsize=9)
