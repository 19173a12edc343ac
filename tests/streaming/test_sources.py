"""Live sources: WAV and raw samples through a real pipe, against libsndfile, and files at the pace of a clock."""

import io
import os
import struct
import threading
import time

import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.errors import AudioError, ConfigError
from pipeline.streaming import sources
from pipeline.streaming.sources import Pcm

RAW = Pcm("s16le", 16000, 1)


def through_pipe(data: bytes, raw: Pcm = RAW, piece: int = 1000) -> np.ndarray:
    """What is heard of bytes that are written to a pipe in pieces."""
    readable, writable = os.pipe()

    def write():
        with open(writable, "wb", buffering=0) as file:
            for first in range(0, len(data), piece):
                file.write(data[first : first + piece])

    thread = threading.Thread(target=write)
    thread.start()
    with open(readable, "rb", buffering=0) as file:
        heard = np.concatenate(list(sources.pcm(file, raw)))
    thread.join()
    return heard


def wav(wave: np.ndarray, rate_hz: int = 16000, subtype: str = "PCM_16", format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, subtype=subtype, format=format)
    return file.getvalue()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_a_wav_stream_is_heard_as_the_file_is(voice, subtype, format):
    data = wav(np.stack([voice[:5000], voice[5000:10000]], axis=1), subtype=subtype, format=format)
    np.testing.assert_array_equal(through_pipe(data, piece=777), audio.decode(data))


def test_a_wav_stream_at_another_rate_is_resampled_as_the_file_is(voice):
    data = wav(voice[:9000], 44100)
    np.testing.assert_allclose(through_pipe(data), audio.decode(data), atol=1 / 32768)


def test_a_wav_stream_of_unknown_length_is_read_to_its_end(voice):
    data = bytearray(wav(voice[:5000]))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    np.testing.assert_array_equal(through_pipe(bytes(data)), audio.decode(wav(voice[:5000])))


def test_chunks_before_the_samples_are_passed_over(voice):
    data = wav(voice[:5000])
    noted = data[:36] + b"LIST" + struct.pack("<I", 5) + b"notes\0" + data[36:]
    np.testing.assert_array_equal(through_pipe(noted, piece=11), audio.decode(data))


@pytest.mark.parametrize(
    ("sample_format", "subtype"),
    [("u8", "PCM_U8"), ("s16le", "PCM_16"), ("s24le", "PCM_24"), ("s32le", "PCM_32"), ("f32le", "FLOAT")],
)
def test_raw_samples_are_those_that_libsndfile_wrote(voice, sample_format, subtype):
    raw = wav(voice[:8000].reshape(-1, 2), subtype=subtype, format="RAW")
    expected = audio.decode(wav(voice[:8000].reshape(-1, 2), subtype=subtype))
    np.testing.assert_array_equal(through_pipe(raw, Pcm(sample_format, 16000, 2), piece=333), expected)


def test_silence_between_samples_gives_empty_blocks():
    readable, writable = os.pipe()
    with open(readable, "rb", buffering=0) as file:
        os.write(writable, b"\0" * 200)
        blocks = sources.pcm(file, RAW)
        # The first twelve bytes are those that may be a header.
        assert [len(next(blocks)) for _ in range(4)] == [6, 94, 0, 0]
        os.close(writable)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (wav(np.zeros(100))[:20], "without a description"),
        (wav(np.zeros(100), subtype="ULAW"), "WAV format 7 of 8 bits"),
        (wav(np.zeros(100), subtype="DOUBLE"), "WAV format 3 of 64 bits"),
        (b"RIFF\0\0\0\0WAVEjunk" + b"\xff" * 4, "4294967295 bytes lies before"),
        (wav(np.full(100, np.nan, np.float32), subtype="FLOAT"), "not finite"),
    ],
)
def test_what_cannot_be_heard_is_refused(data, reason):
    with pytest.raises(AudioError, match=reason):
        through_pipe(data)


def test_a_file_comes_at_the_pace_of_a_clock(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice[:9600]), 16000)
    started, arrived = time.monotonic(), []
    heard = []
    for block in sources.recording(tmp_path / "a.wav", paced=True):
        heard.append(block)
        arrived.append((sum(map(len, heard)) / 16000, time.monotonic() - started))
    assert all(clock_s >= audio_s for audio_s, clock_s in arrived)
    np.testing.assert_array_equal(np.concatenate(heard), audio.decode(tmp_path / "a.wav"))


def test_a_missing_microphone_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"--input microphone: .*pip install sounddevice"):
        next(sources.microphone())
