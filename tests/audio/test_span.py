"""A part of a recording: the same samples as from the whole, nothing decoded behind it, and impossible parts."""

import numpy as np
import pytest

from pipeline import audio
from pipeline.audio import WHOLE, Span, SpanOptions
from pipeline.errors import AudioError, ConfigError
from tests.support.recordings import encoded


def blocks(*lengths: int, read: list[int] | None = None):
    place = 0
    for length in lengths:
        if read is not None:
            read.append(length)
        yield 100, np.arange(place, place + length)[:, None]
        place += length


@pytest.mark.parametrize("span", [Span(0.5, 2.05), Span(1.1, None), Span(0, 1.0), Span(0.99, 1.01), Span(1, 99), WHOLE])
def test_blocks_are_cut_wherever_they_meet(span):
    cut = np.concatenate([block for _, block in span.cut(blocks(100, 7, 93, 50))])[:, 0]
    last = 250 if span.end_s is None else min(round(100 * span.end_s), 250)
    assert cut.tolist() == list(range(round(100 * span.start_s), last))


def test_nothing_behind_the_part_is_read():
    read: list[int] = []
    list(Span(0.2, 1.0).cut(blocks(60, 40, 100, read=read)))
    assert read == [60, 40]


def test_limits_apply_to_the_part(voice):
    data = encoded(voice)
    whole = audio.read(data).samples
    part = audio.read(data, limits=audio.Limits(max_s=0.8), span=Span(0.5, 1.25)).samples
    assert np.array_equal(part, whole[8000:20000])
    streamed = np.concatenate(list(audio.blocks(data, span=Span(0.5, 1.25))))[:, 0]
    assert np.array_equal(streamed, audio.to_float(part))


def test_impossible_parts_are_errors(voice):
    with pytest.raises(AudioError, match=r"too short: it ends at 2\.000 s, --start is 2 s"):
        audio.read(encoded(voice), span=Span(2.0))
    with pytest.raises(ConfigError, match=r"--end 3: expected more than --start, which is 3"):
        _ = SpanOptions(start=3, end=3).span
