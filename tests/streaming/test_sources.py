"""Live sources: files at the pace of a clock, and a missing microphone."""

import time

import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.errors import ConfigError
from pipeline.streaming import sources


def test_a_file_comes_at_the_pace_of_a_clock(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice[:9600]), 16000)
    started, arrived = time.monotonic(), []
    found = []
    for block in sources.recording(tmp_path / "a.wav", paced=True):
        found.append(block)
        arrived.append((sum(map(len, found)) / 16000, time.monotonic() - started))
    assert all(clock_s >= audio_s for audio_s, clock_s in arrived)
    np.testing.assert_array_equal(np.concatenate(found), audio.decode(tmp_path / "a.wav"))


def test_a_missing_microphone_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"--input microphone: .*pip install sounddevice"):
        next(sources.microphone())
