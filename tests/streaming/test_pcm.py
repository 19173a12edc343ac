"""Audio from a pipe: WAV and raw samples against libsndfile, and other containers."""

import io
import os
import struct
import threading

import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.errors import AudioError
from pipeline.streaming import pcm
from pipeline.streaming.pcm import Layout

RAW = Layout("s16le", 16000, 1)


def through_pipe(data: bytes, raw: Layout = RAW, piece: int = 1000) -> np.ndarray:
    """All samples of bytes that are written to a pipe in pieces."""
    readable, writable = os.pipe()

    def write():
        with open(writable, "wb", buffering=0) as file:
            for first in range(0, len(data), piece):
                file.write(data[first : first + piece])

    thread = threading.Thread(target=write)
    thread.start()
    with open(readable, "rb", buffering=0) as file:
        found = np.concatenate(list(pcm.blocks(file, raw)))
    thread.join()
    return found


def wav(wave: np.ndarray, rate_hz: int = 16000, subtype: str = "PCM_16", format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, subtype=subtype, format=format)
    return file.getvalue()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_a_wav_stream_is_decoded_as_the_file_is(voice, subtype, format):
    data = wav(np.stack([voice[:5000], voice[5000:10000]], axis=1), subtype=subtype, format=format)
    np.testing.assert_array_equal(through_pipe(data, piece=777), audio.decode(data))


def test_a_wav_stream_at_another_rate_is_resampled_as_the_file_is(voice):
    data = wav(voice[:9000], 44100)
    np.testing.assert_allclose(through_pipe(data), audio.decode(data), atol=1 / 32768)


def test_a_wav_stream_of_unknown_length_is_read_to_its_end(voice):
    data = bytearray(wav(voice[:5000]))
    for size in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80"):
        data[4:8] = data[40:44] = size
        np.testing.assert_array_equal(through_pipe(bytes(data)), audio.decode(wav(voice[:5000])))


def test_chunks_behind_the_samples_are_no_sound(voice):
    data = wav(voice[:4999], subtype="PCM_U8")
    data = data[:40] + struct.pack("<I", 4999) + data[44 : 44 + 4999] + b"\0"
    noted = data + b"LIST" + struct.pack("<I", 5) + b"notes\0"
    np.testing.assert_array_equal(through_pipe(noted), audio.decode(data))
    with pytest.raises(AudioError, match="another WAV follows the first; stream one at a time"):
        through_pipe(noted + data)


def test_chunks_before_the_samples_are_passed_over(voice):
    data = wav(voice[:5000])
    noted = data[:36] + b"LIST" + struct.pack("<I", 5) + b"notes\0" + data[36:]
    np.testing.assert_array_equal(through_pipe(noted, piece=11), audio.decode(data))


@pytest.mark.parametrize(
    ("sample_format", "subtype"),
    [
        *[("u8", "PCM_U8"), ("s16le", "PCM_16"), ("s24le", "PCM_24"), ("s32le", "PCM_32")],
        *[("f32le", "FLOAT"), ("f64le", "DOUBLE"), ("alaw", "ALAW"), ("mulaw", "ULAW")],
    ],
)
def test_raw_samples_are_those_that_libsndfile_wrote(voice, sample_format, subtype):
    raw = wav(voice[:8000].reshape(-1, 2), subtype=subtype, format="RAW")
    expected = audio.decode(wav(voice[:8000].reshape(-1, 2), subtype=subtype))
    np.testing.assert_array_equal(through_pipe(raw, Layout(sample_format, 16000, 2), piece=333), expected)


def test_silence_between_samples_gives_empty_blocks():
    readable, writable = os.pipe()
    with open(readable, "rb", buffering=0) as file:
        os.write(writable, b"\0" * 200)
        blocks = pcm.blocks(file, RAW)
        # The first twelve bytes are those that may be a header.
        assert [len(next(blocks)) for _ in range(4)] == [6, 94, 0, 0]
        os.close(writable)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (wav(np.zeros(100))[:20], "without a description"),
        (wav(np.zeros(100), subtype="MS_ADPCM"), "WAV format 2 of 4 bits; a stream may be PCM"),
        (wav(np.zeros(100), 1000), "sample rate 1000 Hz lies outside 4000 to 384000 Hz"),
        (wav(np.zeros(100))[:22] + b"\0\0" + wav(np.zeros(100))[24:], "0 channels"),
        (b"RIFF\0\0\0\0WAVEjunk" + b"\xff" * 4, "4294967295 bytes lies before"),
        (wav(np.full(100, np.nan, np.float32), subtype="FLOAT"), "not finite"),
    ],
)
def test_a_stream_that_cannot_be_decoded_is_refused(data, reason):
    with pytest.raises(AudioError, match=reason):
        through_pipe(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        *[(wav(np.zeros(999), format=name, subtype=None), name) for name in ("FLAC", "RF64", "AIFF", "CAF", "AU")],
        (wav(np.zeros(999), format="OGG", subtype="VORBIS"), "Ogg"),
        (wav(np.zeros(999), format="W64"), "Wave64"),
        (wav(np.zeros(9999), format="MP3", subtype=None), "MP3"),
        (b"ID3\x04\0\0\0\0\0\0\0\0", "MP3"),
        (b"\xff\xf1\x50\x80\x2e\x7f\xfc\0\0\0\0\0", "AAC"),
        (b"\0\0\0\x20ftypM4A ", "MP4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81", "Matroska or WebM"),
        (b"RIFF\0\0\0\0AVI ", "AVI"),
        (b"#!AMR\n\x3c\0\0\0\0\0", "AMR"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_container_is_named_and_refused(data, name):
    with pytest.raises(AudioError, match=f"the stream is {name}, not WAV or raw samples; name the file with --input"):
        through_pipe(data, piece=1 << 20)


def test_quiet_mu_law_that_begins_like_a_frame_is_taken_where_asked():
    assert (pcm.container(b"\xff\xfb\x7e\xff"), pcm.container(b"\xff\xfb\x7e\xff", frames=False)) == ("MP3", "")
    assert pcm.container(b"ID3\x04", frames=False) == "MP3"


def test_raw_samples_are_no_container():
    for first in ([-1] * 6, [0] * 6, [-1, 100] * 3, [-257, -1] * 3, [20000, -20000] * 3):
        samples = np.array(first, "<i2")
        np.testing.assert_array_equal(through_pipe(samples.tobytes()), samples / np.float32(32768))
