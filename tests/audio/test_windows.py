"""Cutting recordings into windows."""

import numpy as np
import pytest

from pipeline.audio import windows
from pipeline.config import SAMPLE_RATE_HZ, WindowConfig


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(1, [0]), (99, [0]), (100, [0]), (101, [0, 1]), (150, [0, 50]), (170, [0, 50, 70]), (200, [0, 50, 100])],
)
def test_windows_cover_the_recording_to_its_end(samples, expected):
    assert windows.starts(samples, 100) == expected


@pytest.mark.parametrize(("samples", "expected"), [(100, [0]), (150, [0, 50]), (200, [0, 100]), (230, [0, 100, 130])])
def test_windows_apart_follow_one_another_to_the_end(samples, expected):
    assert windows.starts(samples, 100, "consecutive") == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(100, [0]), (101, [0, 1]), (150, [0, 50]), (175, [0, 75]), (176, [0, 38, 76]), (400, [0, 75, 150, 225, 300])],
)
def test_spread_windows_lie_evenly_and_at_most_three_quarters_apart(samples, expected):
    assert windows.starts(samples, 100, "spread") == expected


def test_first_mode_takes_only_the_beginning():
    assert windows.starts(1000, 100, "first") == [0]


def test_a_whole_window_is_a_view():
    wave = np.arange(300, dtype=np.int16)
    window = windows.cut(wave, 50, _window(100))
    assert np.array_equal(window, np.arange(50, 150))
    assert np.shares_memory(window, wave)


def test_short_recordings_repeat_or_get_zeros():
    wave = np.array([1, 2, 3], np.int16)
    assert windows.cut(wave, 0, _window(7)).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert windows.cut(wave, 0, _window(5, "zero")).tolist() == [1, 2, 3, 0, 0]
    assert windows.cut(wave, 0, _window(7)).dtype == np.int16


def _window(samples: int, pad: str = "repeat") -> WindowConfig:
    return WindowConfig(clip_s=samples / SAMPLE_RATE_HZ, pad=pad)
