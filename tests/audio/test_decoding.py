"""Decoding: formats, the int16 grid, resampling, and every way in which a recording is refused."""

import io
import tracemalloc

import av
import numpy as np
import pytest
import soundfile

from pipeline import audio
from pipeline.audio.sndfile import BLOCK_SAMPLES
from pipeline.config import AudioConfig
from pipeline.errors import AudioError
from tests.support.recordings import encoded, muxed


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Highest normalised cross-correlation, so that a codec's delay does not matter."""
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    product = np.fft.irfft(np.fft.rfft(a, 2 * size) * np.conj(np.fft.rfft(b, 2 * size)))
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_sixteen_bit_wav_comes_back_exactly(voice):
    samples = audio.to_int16(voice)
    decoded = audio.decode(encoded(samples))
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, samples.astype(np.float32) / 32768)


def test_everything_lies_on_the_int16_grid(voice):
    decoded = audio.decode(encoded(voice, 44100, subtype="FLOAT"))
    assert np.array_equal(decoded * 32768, np.rint(decoded * 32768))


def test_path_and_bytes_give_the_same(tmp_path, voice):
    (tmp_path / "a.wav").write_bytes(encoded(voice))
    assert np.array_equal(audio.decode(tmp_path / "a.wav"), audio.decode(encoded(voice)))


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("WAV", "ULAW"),
        ("AIFF", "PCM_24"),
    ],
)
def test_formats_of_libsndfile(voice, format, subtype):
    decoded = audio.decode(encoded(voice, format=format, subtype=subtype))
    assert correlation(decoded, voice) > 0.97


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [("mp4", "aac", 16000), ("adts", "aac", 16000), ("webm", "libopus", 48000), ("mov", "pcm_s16le", 16000)],
)
def test_formats_of_ffmpeg(voice, container, codec, rate_hz):
    assert correlation(audio.decode(muxed(voice, container, codec, rate_hz)), voice) > 0.95


def test_raw_g722_goes_by_its_suffix(voice, tmp_path):
    (tmp_path / "prompt.g722").write_bytes(muxed(voice, "g722", "g722"))
    decoded = audio.decode(tmp_path / "prompt.g722")
    assert abs(len(decoded) - len(voice)) < 400
    assert correlation(decoded, voice) > 0.9


def test_channels_are_averaged(voice):
    eight = np.stack([voice * k / 8 for k in range(8)], axis=1)
    np.testing.assert_allclose(audio.decode(encoded(eight)), voice * 3.5 / 8, atol=2 / 32768)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 384000])
def test_other_rates_keep_time_and_pitch(rate_hz):
    seconds = 1.5
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)
    decoded = audio.decode(encoded(tone, rate_hz))
    assert len(decoded) == pytest.approx(seconds * 16000, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(decoded))) / seconds == pytest.approx(440, abs=1)


def test_overshoot_is_clipped():
    loud = np.tile(np.array([1.5, -1.5], np.float32), 8000)
    decoded = audio.decode(encoded(loud, subtype="FLOAT"))
    assert set(np.unique(decoded)) == {-1.0, 32767 / 32768}


def test_file_name_that_is_not_utf8(voice, tmp_path):
    path = bytes(tmp_path) + b"/\xff\xfe.wav"
    with open(path, "wb") as file:
        file.write(encoded(voice))
    assert len(audio.decode(path.decode(errors="surrogateescape"))) == len(voice)


def of_an_unknown_codec() -> bytes:
    data = bytearray(encoded(np.full(16000, 0.1, np.float32)))
    data[20:22] = b"\x34\x12"
    return bytes(data)


def not_a_number() -> bytes:
    wave = np.full(16000, 0.1, np.float32)
    wave[77] = np.nan
    return encoded(wave, subtype="FLOAT")


REFUSED = {
    "empty file": (b"", "empty: the file has no bytes"),
    "text": (b"this is not audio at all " * 50, "unreadable: not audio"),
    "no samples": (encoded(np.zeros(0, np.float32)), "empty: the file holds no samples"),
    "too short": (encoded(np.full(1600, 0.1, np.float32)), "too short: 0.100 s, at least 0.2 s"),
    "digital silence": (encoded(np.zeros(16000, np.float32)), "silent: all samples are 0"),
    "near silence": (encoded(np.full(16000, 5e-5, np.float32)), "silent: the peak is -90 dB"),
    "not finite": (not_a_number(), "not finite"),
    "truncated header": (encoded(np.full(16000, 0.1, np.float32))[:30], "unreadable"),
    "unknown codec": (of_an_unknown_codec(), "unreadable: FFmpeg does not know the codec"),
    "absurd rate": (encoded(np.full(16000, 0.1, np.float32), 1000), "sample rate 1000 Hz"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(AudioError, match=reason):
        audio.decode(data)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(AudioError, match="No such file"):
        audio.decode(tmp_path / "nowhere.wav")
    with pytest.raises(AudioError, match="unreadable"):
        audio.decode(tmp_path)


def test_hours_in_a_small_file_stop_at_the_limit():
    silence = encoded(np.zeros(16000 * 3600, np.int16), format="FLAC")
    assert len(silence) < 200_000
    tracemalloc.start()
    with pytest.raises(AudioError, match="too long: over 60 s"):
        audio.decode(silence, config=AudioConfig(max_s=60))
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_a_list_of_other_files_is_not_followed(voice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.wav").write_bytes(encoded(voice))
    listing = b"ffconcat version 1.0\nfile 'secret.wav'\n"
    with av.open(io.BytesIO(listing)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == len(voice)
    with pytest.raises(AudioError, match="unreadable"):
        audio.decode(listing)


LIMITED = {
    "bytes": (audio.Limits(max_bytes=1000), r"too large: 0\.1 MB, at most 0\.001 MB"),
    "seconds": (audio.Limits(max_s=1.5), r"too long: over 1\.5 s"),
    "channels": (audio.Limits(max_channels=1), "2 channels, at most 1"),
    "rate": (audio.Limits(max_rate_hz=12000), "16000 Hz lies outside 4000 to 12000 Hz"),
    "samples": (audio.Limits(max_samples=50000), "too long: over 50000 samples in its 2 channels"),
}


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("through", ["libsndfile", "FFmpeg"])
def test_limits_of_a_file(voice, name, through, tmp_path):
    stereo = np.stack([voice, voice], axis=1)
    data = encoded(audio.to_int16(stereo))
    if through == "FFmpeg":
        data = muxed(stereo, "matroska", "pcm_s16le")
    assert len(audio.decode(data)) == len(voice)
    limits, reason = LIMITED[name]
    with pytest.raises(AudioError, match=reason):
        audio.decode(data, limits=limits)


@pytest.mark.parametrize("rate_hz", [8000, 44100, 384000])
def test_resampling_in_blocks_is_resampling_at_once(rate_hz):
    import soxr

    wave = (0.1 * np.random.default_rng(0).standard_normal(2 * rate_hz + 77)).astype(np.float32)
    whole = audio.to_int16(soxr.resample(wave, rate_hz, 16000, quality="HQ"))
    assert np.array_equal(audio.to_int16(audio.decode(encoded(wave, rate_hz, subtype="FLOAT"))), whole)


@pytest.mark.parametrize(
    ("format", "subtype"), [("WAV", "ULAW"), ("FLAC", None), ("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_reading_in_blocks_is_reading_at_once(format, subtype):
    wave = 0.1 * np.random.default_rng(0).standard_normal(3 * BLOCK_SAMPLES + 77)
    data = encoded(wave, 16000, format, subtype)
    whole = audio.to_int16(soundfile.read(io.BytesIO(data), dtype="float32")[0])
    assert np.abs(audio.read(data).samples - whole.astype(int)).max() <= 1  # MP3's floats differ in their last digit


def test_checksum_is_of_the_samples_not_the_file(voice):
    as_wav = audio.decode(encoded(audio.to_int16(voice)))
    as_flac = audio.decode(encoded(audio.to_int16(voice), format="FLAC"))
    assert audio.sha256(as_wav) == audio.sha256(as_flac) == audio.sha256(audio.to_int16(voice))
