"""The picture of a conversation: rows that fit its length, a lane a channel, and shading where it was found."""

import numpy as np
import pytest

from pipeline.reporting import conversation_figure
from pipeline.scoring.parties import Party
from pipeline.scoring.row import Row
from pipeline.scoring.spoofed_segments import SpoofedSegment
from tests.support.made_windows import scored_windows


def party(duration_s: float, channel: int = 1, found: tuple[SpoofedSegment, ...] = (), speech: float = 1.0) -> Party:
    outline = np.tile([[-0.1, 0.2]], (int(duration_s * 20), 1))
    scores, chunks = np.ones(max(1, int(duration_s * 2) - 1)), np.full(int(duration_s / 0.032) + 1, speech)
    scored = scored_windows(scores, window_s=1.0, hop_s=0.5, duration_s=duration_s, speech=chunks)
    return Party(channel, Row("call"), scored, list(found), outline)


def shaded(axes) -> list[tuple[float, float]]:
    spans = [patch for patch in axes.patches if patch.get_height() == 1]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in spans]


@pytest.mark.parametrize(
    ("duration_s", "rows"), [(0.9, 1), (60, 1), (120, 1), (121, 1), (900, 3), (7200, 12), (7201, 9), (5 * 3600, 10)]
)
def test_rows_fit_the_length(duration_s, rows):
    assert -(-duration_s // conversation_figure.row_s(duration_s)) == rows


def test_a_lane_for_each_channel_in_each_row():
    found = SpoofedSegment(290.0, 310.0, -2.0, 0.9)
    figure = conversation_figure.timeline([party(500), party(500, 2, (found,))], threshold=0.2, title="a")
    lanes = figure.axes
    assert [axes.get_ylabel().split("\n")[0] for axes in lanes] == ["channel 1", "channel 2"] * 2
    assert [axes.get_xlim() for axes in lanes] == [(0, 300)] * 2 + [(300, 600)] * 2
    assert [len(shaded(axes)) for axes in lanes] == [0, 1, 0, 1]
    assert shaded(lanes[1]) == [(290.0, 310.0)]


def test_ticks_are_read_as_time():
    figure = conversation_figure.timeline([party(7200)], threshold=0.0, title="a")
    figure.canvas.draw()
    labels = [tick.get_text() for tick in figure.axes[-1].get_xticklabels() if tick.get_text()]
    assert {"1:50:00", "1:51:00", "2:00:00"} <= set(labels)
    short = conversation_figure.timeline([party(3)], threshold=0.0, title="a")
    short.canvas.draw()
    assert "1.5" in [tick.get_text() for tick in short.axes[0].get_xticklabels()]


def test_a_name_is_drawn_as_it_is_written():
    figure = conversation_figure.timeline([party(3)], threshold=0.0, title="cost $5 and $6\x07" + "x" * 80)
    shown = figure.get_suptitle()
    assert shown.startswith(r"cost \$5 and \$6�xxx")
    assert "…" in shown
    figure.canvas.draw()


def test_silence_is_drawn_without_a_curve():
    silent = party(3, speech=0.0)
    figure = conversation_figure.timeline([silent], threshold=0.0, title="a")
    (curve,) = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(silent.scored.times_s)]
    assert np.isnan(curve.get_ydata()).all()
