"""Picture of an analysed conversation: waveform, speech and score of each channel, spoofed segments shaded.

A long recording is broken into rows like lines of text, so that ten seconds are visible in two hours. Data in, a
matplotlib ``Figure`` out, in the look of ``style``.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from pipeline.reporting import style
from pipeline.reporting.style import BLUE, GREY, INK, ORANGE
from pipeline.scoring.parties import Party

ROW_S = (60, 120, 300, 600, 900, 1800, 3600)
"""Possible lengths of a row, in s."""
MAX_ROWS = 12
SCORE_RANGE = 6.0
LANE_INCHES = 1.15
TICK_S = {60: 5, 120: 10, 300: 30, 600: 60, 900: 60, 1800: 120, 3600: 300}


def row_s(duration_s: float) -> float:
    """Seconds per row: the whole of a short recording, else the shortest row with at most ``MAX_ROWS`` of them."""
    if duration_s <= ROW_S[1]:
        return duration_s
    return next((length for length in ROW_S[2:] if duration_s <= MAX_ROWS * length), ROW_S[-1])


@style.styled
def timeline(parties: Sequence[Party], *, threshold: float, title: str) -> Figure:
    """Draw the parties of a conversation.

    Parameters
    ----------
    parties : the channels of one recording.
    threshold : score below which speech sounds spoofed.
    title : name of the recording.
    """
    duration_s = parties[0].scored.duration_s
    length_s = row_s(duration_s)
    rows = max(1, math.ceil(duration_s / length_s - 1e-9))
    lanes = rows * len(parties)
    figure = Figure(figsize=(12.5, 1.5 + LANE_INCHES * lanes + 0.35 * rows), layout="constrained")
    axes = figure.subplots(lanes, 1, squeeze=False)[:, 0]
    for index, lane in enumerate(axes):
        row, party = divmod(index, len(parties))
        span = (row * length_s, (row + 1) * length_s)
        _draw_lane(lane, parties[party], span, threshold)
        last = party == len(parties) - 1
        _time_axis(lane, span, parties[party].start_s, labelled=last, titled=index == lanes - 1)
        if len(parties) > 1:
            lane.set_ylabel(f"channel {parties[party].channel}\nscore", fontsize=9)
        else:
            lane.set_ylabel("score", fontsize=9)
    figure.suptitle(_printable(title), x=0.01, ha="left")
    figure.legend(handles=_legend(threshold), loc="outside upper right", ncols=5, fontsize=9, handlelength=1.8)
    return figure


def _draw_lane(axes, party: Party, span: tuple[float, float], threshold: float) -> None:
    scored = party.scored
    _draw_outline(axes, party, span)
    for found in party.spoofed_segments:
        ends = (found.start_s - party.start_s, found.end_s - party.start_s)
        axes.axvspan(*ends, facecolor=ORANGE, alpha=0.32, linewidth=0)
        for edge in ends:
            axes.axvline(edge, color="#7a5400", linewidth=0.9)
    for start_s, end_s in scored.speech.segments():
        axes.plot([start_s, end_s], [-SCORE_RANGE] * 2, color=INK, linewidth=3, solid_capstyle="butt")
    inside = (scored.times_s >= span[0] - scored.window_s) & (scored.times_s <= span[1] + scored.window_s)
    scores = np.clip(scored.scores, -SCORE_RANGE, SCORE_RANGE)[inside]
    # A score without speech means nothing and is not drawn.
    width = 1.5 if span[1] - span[0] <= ROW_S[1] else 1.0
    axes.plot(scored.times_s[inside], np.where(scored.spoken[inside], scores, np.nan), color=BLUE, linewidth=width)
    axes.axhline(threshold, color=INK, linestyle="--", linewidth=1.0)
    axes.set(xlim=span, ylim=(-SCORE_RANGE - 0.5, SCORE_RANGE + 0.3), yticks=(-5, 0, 5))
    axes.tick_params(axis="y", labelsize=8)


def _draw_outline(axes, party: Party, span: tuple[float, float]) -> None:
    """Draw the waveform behind the score."""
    points = len(party.outline)
    step_s = party.scored.duration_s / points
    first, last = int(span[0] / step_s), min(math.ceil(span[1] / step_s), points)
    outline = party.outline[first:last]
    group = max(1, len(outline) // 1500)
    whole = len(outline) - len(outline) % group
    if not whole:
        return
    grouped = outline[:whole].reshape(-1, group, 2)  # (columns, group, low and high)
    times_s = span[0] + (np.arange(len(grouped)) + 0.5) * group * step_s
    height = SCORE_RANGE / max(float(np.abs(party.outline).max()), 1e-3)
    low, high = grouped[:, :, 0].min(axis=1), grouped[:, :, 1].max(axis=1)
    axes.fill_between(times_s, low * height, high * height, color="#c9ced6", linewidth=0)


def _time_axis(axes, span: tuple[float, float], start_s: float, *, labelled: bool, titled: bool) -> None:
    """Label the times of a row in the recording, whose part begins at ``start_s``."""
    length_s = span[1] - span[0]
    tick_s = TICK_S.get(int(length_s)) or next((t for t in (0.5, 1, 2, 5, 10) if length_s / t <= 14), 10)
    axes.xaxis.set_major_locator(MultipleLocator(tick_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _short_clock(seconds + start_s, tick_s)))
    axes.tick_params(axis="x", labelsize=8, labelbottom=labelled, length=3 if labelled else 0)
    axes.grid(axis="y", visible=False)
    if titled:
        axes.set_xlabel("Time (h:min:s)" if span[1] + start_s >= 3600 else "Time (min:s)", fontsize=9)


def _short_clock(seconds: float, tick_s: float) -> str:
    if tick_s < 1:
        return f"{seconds:.1f}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _legend(threshold: float) -> list:
    return [
        Line2D([], [], color=BLUE, linewidth=1.5, label="score (higher: more bonafide)"),
        Line2D([], [], color=INK, linestyle="--", linewidth=1.0, label=f"threshold {style.signed(threshold)}"),
        Patch(facecolor=ORANGE, alpha=0.5, edgecolor="#7a5400", label="sounds spoofed"),
        Line2D([], [], color=INK, linewidth=3, label="speech"),
        Patch(facecolor="#c9ced6", edgecolor=GREY, linewidth=0.5, label="waveform"),
    ]


def _printable(name: str) -> str:
    """A file name as plain text: matplotlib reads dollar signs as mathematics."""
    shown = name if len(name) <= 60 else f"{name[:40]}…{name[-18:]}"
    return "".join(c if c.isprintable() else "�" for c in shown).replace("$", r"\$")
