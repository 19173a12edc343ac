"""Figures of a Store: counts and durations of its clips, and one example of each class."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.audio import band_filters, bands
from pipeline.config import SAMPLE_RATE_HZ, FrontEndConfig
from pipeline.reporting import style
from pipeline.store.manifest import BONAFIDE, LABELS, SPOOF
from pipeline.store.store import Store

LOOKS = {BONAFIDE: style.BONAFIDE_LOOK, SPOOF: style.SPOOF_LOOK}
EXAMPLE_S = 6.0
MOST_GROUPS = 30
RANGE_DB = 80.0
"""Levels further below the highest are drawn as the lowest."""


def write_all(store: Store, folder: Path) -> None:
    """Draw every figure of the Store into ``folder`` as PNG."""
    folder.mkdir(parents=True)
    table = store.manifest
    spoof = table[table["label"] == SPOOF]
    named = spoof["attack"].where(spoof["attack_name"] == "", spoof["attack"] + " (" + spoof["attack_name"] + ")")
    drawn = {
        "subsets": largest_groups(table, "split"),
        "durations": durations(table),
        "speakers": largest_groups(table, "speaker"),
        "attacks": largest_groups(spoof.assign(attack=named), "attack"),
    }
    for label in LABELS:
        rows = np.flatnonzero((table["label"] == label).to_numpy())
        if len(rows):
            drawn[f"example_{label}"] = example(store, int(rows[0]), FrontEndConfig(), longest_s=EXAMPLE_S)
    for name, figure in drawn.items():
        (folder / f"{name}.png").write_bytes(style.png(figure))


def example(store: Store, row: int, settings: FrontEndConfig, *, longest_s: float) -> Figure:
    """Log-mel spectrogram of the beginning of a Store's row."""
    wave = store.waveform(row)[: round(longest_s * SAMPLE_RATE_HZ)]
    clip = store.manifest.iloc[row]
    return mel_spectrogram(
        log_mel_db(wave, settings),
        hop_s=settings.hop_samples / SAMPLE_RATE_HZ,
        band_hz=band_filters.mel_centres_hz(settings.n_mels, settings.fmin_hz, settings.fmax_hz),
        title=f"{clip['label']}: {clip['utterance_id']}",
    )


@style.styled
def mel_spectrogram(db: np.ndarray, *, hop_s: float, band_hz: np.ndarray, title: str = "Log-mel spectrogram") -> Figure:
    """Spectrogram in dB over time in seconds and mel bands in Hz.

    Parameters
    ----------
    db : ``[bands, frames]``, lowest band first.
    hop_s : seconds between frames.
    band_hz : centre frequency of each band ``[bands]``, rising.
    """
    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    bands, frames = db.shape
    image = axes.imshow(
        db,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
        extent=(0, frames * hop_s, -0.5, bands - 0.5),
    )
    ticks = [hz for hz in (250, 500, 1000, 2000, 4000, 8000) if band_hz[0] <= hz <= 1.02 * band_hz[-1]]
    axes.set_yticks(np.interp(ticks, band_hz, np.arange(bands)), [f"{hz:,}" for hz in ticks])
    axes.set(xlabel="Time (s)", ylabel="Frequency (Hz, mel scale)")
    axes.set_title(title)
    axes.grid(False)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("Level (dB)")
    bar.outline.set_visible(False)
    return figure


def log_mel_db(wave: np.ndarray, settings: FrontEndConfig) -> np.ndarray:
    """Log-mel spectrogram of a waveform, ``[bands, frames]`` in dB relative to its maximum, cut off at ``RANGE_DB``."""
    level_db = bands.in_db(wave, dataclasses.replace(settings, front_end="logmel")).T
    return np.maximum(level_db - level_db.max(), -RANGE_DB)


@style.styled
def durations(table: pd.DataFrame) -> Figure:
    """Distribution of the lengths of the clips of each class."""
    figure = Figure(figsize=style.FIGURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0, float(table["duration_s"].quantile(0.995)) + 0.1, 31)
    for label in LABELS:
        lengths = table.loc[table["label"] == label, "duration_s"]
        if len(lengths):
            share = np.full(len(lengths), 100 / len(lengths))
            axes.hist(lengths, edges, weights=share, label=f"{label} ({len(lengths):,})", **LOOKS[label])
    axes.set(xlabel="Length (s)", ylabel="Share of the class (%)", title="Length of the clips")
    axes.legend()
    return figure


@style.styled
def largest_groups(table: pd.DataFrame, column: str) -> Figure:
    """Number of clips per class for the most frequent values of a column."""
    counts = pd.crosstab(table[column], table["label"]).reindex(columns=LABELS, fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    shown = counts.head(MOST_GROUPS)
    figure = Figure(figsize=(7.4, 1.6 + 0.26 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(shown))
    for label in LABELS:
        if shown[label].any():
            axes.barh(range(len(shown)), shown[label], left=left, height=0.7, label=label, **LOOKS[label])
        left += shown[label].to_numpy()
    if len(shown):
        axes.bar_label(axes.containers[-1], [f"{count:,.0f}" for count in left], padding=2, fontsize=9)
        axes.legend(loc="lower right")
    axes.set_yticks(range(len(shown)), [name or "unknown" for name in shown.index], fontsize=9)
    more = f", the largest {len(shown)} of {len(counts)}" if len(counts) > len(shown) else ""
    axes.set(xlabel="Clips", title=f"Clips by {column}{more}", ylim=(len(shown) - 0.4, -0.6))
    axes.grid(axis="y", visible=False)
    return figure
