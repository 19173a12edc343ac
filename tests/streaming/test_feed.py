"""Steps of live audio: every step if there is time, otherwise the newest."""

import threading
import time

import numpy as np
import pytest

from pipeline.errors import AudioError, AudioFault
from pipeline.streaming.feed import Feed


def pieces(wave: np.ndarray, seed: int, longest: int):
    rng = np.random.default_rng(seed)
    while len(wave):
        size = int(rng.integers(0, longest))
        yield wave[:size]
        wave = wave[size:]


@pytest.mark.parametrize("longest", [7, 300])
def test_every_step_comes_if_none_may_be_lost(longest):
    wave = np.arange(1234, dtype=np.float32)
    feed = Feed(pieces(wave, 1, longest), window=250, step=100, lossless=True)
    found = list(feed.steps())
    assert [step.end for step in found] == [*range(100, 1300, 100), 1234]
    assert not any(step.dropped or step.gap for step in found)
    for step in found:
        np.testing.assert_array_equal(step.window, wave[max(0, step.end - 250) : step.end])
    np.testing.assert_array_equal(np.concatenate([step.fresh for step in found]), wave)


def test_steps_are_skipped_and_counted_if_there_is_no_time():
    wave = np.arange(2050, dtype=np.float32)
    gate = threading.Event()

    def blocks():
        yield wave[:150]
        gate.wait(5)
        yield wave[150:]

    feed = Feed(blocks(), window=250, step=100, lossless=False)
    steps = feed.steps()
    first = next(steps)
    assert (first.end, first.dropped, first.gap) == (100, 0, False)
    gate.set()
    while feed._thread.is_alive():
        time.sleep(0.01)
    (last,) = steps
    np.testing.assert_array_equal(last.window, wave[1800:2050])
    # Steps 2 to 20 were skipped; step 21 is the rest behind them. What is no longer held is a gap.
    assert (last.end, last.dropped, last.gap) == (2050, 19, True)
    np.testing.assert_array_equal(last.fresh, wave[2050 - 450 :])


def test_latency_counts_from_the_last_sample_of_the_step():
    def blocks():
        yield np.zeros(100, np.float32)
        time.sleep(5)

    step = next(Feed(blocks(), window=100, step=100, lossless=False).steps())
    assert 0 <= time.monotonic() - step.arrived < 5


def test_an_error_of_the_stream_comes_after_its_steps():
    def blocks():
        yield np.zeros(150, np.float32)
        raise AudioError(AudioFault.UNREADABLE, "broken")

    steps = Feed(blocks(), window=100, step=100, lossless=True).steps()
    assert [next(steps).end, next(steps).end] == [100, 150]
    with pytest.raises(AudioError, match="broken"):
        next(steps)


def test_a_closed_feed_lets_its_source_go():
    closed = threading.Event()

    def blocks():
        try:
            while True:
                yield np.zeros(10, np.float32)
        finally:
            closed.set()

    feed = Feed(blocks(), window=100, step=100, lossless=True)
    next(feed.steps())
    feed.close()
    assert not feed._thread.is_alive()
    assert closed.wait(5)
