"""Recordings that are odd but sound: joined, cut, with several tracks, with channels that cancel, out of scale."""

import io
import struct

import av
import numpy as np
import pytest

from pipeline import audio
from pipeline.audio import parts
from pipeline.audio.notes import NoteKind
from pipeline.audio.sndfile import BLOCK_SAMPLES
from pipeline.errors import AudioError
from tests.support.odd_recordings import ODD, call, cut, opposite, unfinished
from tests.support.recordings import encoded, muxed, tracks


@pytest.mark.parametrize("name", ODD)
def test_every_reader_finds_the_same_samples_and_notes(voice, name, tmp_path):
    make, kinds = ODD[name]
    (tmp_path / name).write_bytes(make(voice))
    decoded, notes = audio.read(tmp_path / name), []
    assert [note.kind for note in decoded.notes] == kinds
    streamed = np.concatenate(list(audio.blocks(tmp_path / name, notes=notes)))
    np.testing.assert_array_equal(streamed[:, 0], decoded.wave)
    assert sorted(notes, key=str) == sorted(decoded.notes, key=str)


def tone(hz: float, seconds: float, rate_hz: int = 16000, channels: int = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.tile(wave[:, None], channels).astype(np.float32)


def pitch_hz(wave: np.ndarray, start_s: float, end_s: float) -> float:
    part = wave[round(16000 * start_s) : round(16000 * end_s)]
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)))))) / (end_s - start_s)


def assert_intro_then_rest(data: bytes) -> None:
    """1 s of 400 Hz, then 2 s of 900 Hz, whole in every reader."""
    decoded = audio.read(data)
    streamed = np.concatenate([block[:, 0] for block in audio.blocks(data)])
    for wave in (decoded.wave, streamed):
        assert len(wave) == pytest.approx(3 * 16000, abs=3500)  # encoders add up to 0.1 s at either end
        assert pitch_hz(wave, 0.2, 0.8) == pytest.approx(400, abs=2)
        assert pitch_hz(wave, 1.5, 2.7) == pytest.approx(900, abs=2)
    assert decoded.notes == ()


JOINED = {
    "wav": ("WAV", None, 44100),
    "mp3": ("MP3", None, 24000),
    "vorbis": ("OGG", "VORBIS", 44100),
    "opus": ("OGG", "OPUS", 48000),
    "flac": ("FLAC", None, 44100),
}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_decoded_whole(name, channels):
    format, subtype, other_hz = JOINED[name]
    rate_hz = 16000 if channels == 1 else other_hz
    intro = encoded(tone(400, 1), 16000, format, subtype)
    rest = encoded(tone(900, 2, rate_hz, channels), rate_hz, format, subtype)
    assert_intro_then_rest(intro + rest)


@pytest.mark.parametrize("rate_hz", [16000, 24000])
def test_joined_mp3_without_index_or_with_tags(rate_hz):
    plain = {"write_xing": "0", "id3v2_version": "0"}
    intro = muxed(tone(400, 1), "mp3", "libmp3lame", **plain)
    rest = muxed(tone(900, 2, rate_hz), "mp3", "libmp3lame", rate_hz, wave_hz=rate_hz, **plain)
    assert_intro_then_rest(intro + rest)
    tag = b"ID3\x03\0\0\0\0\1\0" + 128 * b"\xff"
    assert_intro_then_rest(tag + intro + b"TAG" + 125 * b"\0" + tag + rest)


@pytest.mark.parametrize("format", ["MP3", "OGG"])
def test_too_many_parts_are_refused(format):
    data = encoded(tone(400, 0.1), format=format)
    with pytest.raises(AudioError, match="joined from more than 256 parts"):
        audio.read(300 * data)


def test_a_file_that_is_not_joined_is_one_part(tmp_path):
    for format in ("MP3", "OGG", "WAV", "FLAC"):
        path = tmp_path / "file"
        path.write_bytes(encoded(tone(400, 1), format=format))
        assert list(parts.split(path, [])) == [path]


def test_a_rate_that_changes_within_a_stream_keeps_time_and_pitch():
    rest = muxed(tone(900, 2, 24000, 2), "adts", "aac", 24000, wave_hz=24000)
    assert_intro_then_rest(muxed(tone(400, 1), "adts", "aac") + rest)
    rest = muxed(tone(900, 2, 24000, 2), "mpegts", "aac", 24000, wave_hz=24000)
    assert_intro_then_rest(muxed(tone(400, 1), "mpegts", "aac") + rest)
    joined = muxed(tone(400, 1), "adts", "aac") + muxed(tone(900, 2, 16000, 2), "adts", "aac")
    with pytest.raises(AudioError, match="from 1 to 2 channels; --channels mix averages them"):
        list(audio.blocks(joined, mix=False))


@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("container", ["mov", "matroska"])
def test_channels_are_averaged_the_same_in_every_container(voice, container, channels):
    wave = np.stack([voice * (k + 1) / channels for k in range(channels)], axis=1)
    wave[:, -1] = np.roll(wave[:, -1], 500)
    expected = audio.decode(encoded(audio.to_int16(wave)))
    np.testing.assert_array_equal(audio.decode(muxed(wave, container, "pcm_s16le")), expected)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_has_the_same_scale(voice, codec):
    step = 1 / 128 if codec == "pcm_u8" else 1 / 32768
    np.testing.assert_allclose(audio.decode(muxed(voice, "mov", codec)), voice, atol=1.1 * step)


def test_a_killed_recorder_s_file_is_read_to_its_end(voice):
    np.testing.assert_array_equal(audio.decode(unfinished(voice)), audio.decode(encoded(voice)))


CUT = {
    **{f: lambda wave, f=f: encoded(wave, format=f) for f in ("WAV", "RF64", "W64", "AIFF", "AU", "FLAC", "MP3")},
    "opus": lambda wave: encoded(np.tile(wave, 4), format="OGG", subtype="OPUS"),
    "m4a": lambda wave: muxed(wave, "mp4", "aac", movflags="faststart"),
    "mov": lambda wave: muxed(wave, "mov", "pcm_s16le", movflags="faststart"),
    "mka": lambda wave: muxed(wave, "matroska", "flac"),
    "webm": lambda wave: muxed(wave, "webm", "libopus", 48000),
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_holds_less_than_its_header_promises_is_noted(voice, name):
    data = CUT[name](voice)
    whole, part = audio.read(data), audio.read(cut(data))
    assert whole.notes == ()
    assert 0.4 < len(part.samples) / len(whole.samples) < 0.8
    assert [note.kind for note in part.notes] == [NoteKind.TRUNCATED]


def test_a_pause_without_packets_is_no_missing_end(voice):
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        stream = output.add_stream("libopus", rate=48000, layout="mono")
        for start in [*range(0, 9600, 960), *range(48000, 57600, 960)]:
            frame = av.AudioFrame.from_ndarray(voice[None, start % 30000 :][:, :960], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert audio.read(file.getvalue()).notes == ()


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 64044])
def test_a_size_that_was_not_known_or_counts_the_header_promises_nothing(voice, size):
    data = bytearray(encoded(voice))
    data[4:8] = data[40:44] = size.to_bytes(4, "little")
    assert (len(audio.read(bytes(data)).samples), audio.read(bytes(data)).notes) == (len(voice), ())


@pytest.mark.parametrize("container", ["matroska", "mov"])
def test_the_default_track_is_decoded_and_the_others_named(voice, container):
    data = tracks({"ger": tone(400, 2), "eng": voice}, container, "pcm_s16le", default=1)
    decoded = audio.read(data)
    np.testing.assert_array_equal(decoded.wave, audio.on_grid(voice))
    assert decoded.note == "tracks: only track 2 (eng) is decoded, not 1 (ger)"


@pytest.mark.parametrize("noise_db", [-np.inf, -40, -20])
def test_channels_that_cancel_are_not_averaged(voice, noise_db):
    wave = opposite(voice, noise_db)
    decoded = audio.read(encoded(wave))
    np.testing.assert_allclose(decoded.wave, wave[:, 1], atol=1 / 32768)
    assert [note.kind for note in decoded.notes] == [NoteKind.CANCELLING]
    assert "only channel 2 is scored" in decoded.note


def test_a_part_in_which_channels_cancel_is_not_lost(voice):
    wave = np.stack([voice, 0.9 * np.where(np.arange(len(voice)) < 24000, voice, -voice)], axis=1)
    np.testing.assert_allclose(audio.decode(encoded(wave)), voice, atol=1 / 32768)


def test_a_call_is_noted_and_nothing_else_is(voice):
    assert "analyse" in audio.read(encoded(call(voice))).note
    stereo = np.stack([voice, 0.5 * np.roll(voice, 9)], axis=1)
    one_sided = np.stack([voice, np.zeros(len(voice))], axis=1)
    for wave in (voice, stereo, one_sided, np.stack([voice] * 6, axis=1)):
        assert audio.read(encoded(wave)).notes == ()


def test_floats_in_the_range_of_int16_are_scaled_and_noted(voice):
    loud = audio.to_int16(voice).astype(np.float32)
    decoded = audio.read(encoded(loud, subtype="FLOAT"))
    np.testing.assert_array_equal(decoded.samples, audio.to_int16(voice))
    assert decoded.note == f"scaled: the samples reach {np.abs(loud).max():g}, they were divided by 32768"
    np.testing.assert_array_equal(
        np.concatenate(list(audio.blocks(encoded(loud, subtype="FLOAT"))))[:, 0], decoded.wave
    )


@pytest.mark.parametrize("least", [0, 1])
def test_floats_in_the_range_of_int16_are_scaled_behind_a_quiet_beginning(voice, least):
    quiet = np.random.default_rng(0).integers(-least, least + 1, BLOCK_SAMPLES + 1)
    data, notes = encoded(np.append(quiet, audio.to_int16(voice)).astype(np.float32), subtype="FLOAT"), []
    streamed = np.concatenate(list(audio.blocks(data, notes=notes)))
    np.testing.assert_array_equal(streamed[:, 0], audio.read(data).wave)
    assert [note.kind for note in notes] == [NoteKind.SCALED]


@pytest.mark.parametrize("peak", [4.5, 20, 1e6])
def test_other_floats_beyond_full_scale_are_refused_with_the_value(voice, peak):
    data = encoded(voice / np.abs(voice).max() * peak, subtype="FLOAT")
    for read in (audio.read, lambda data: list(audio.blocks(data)), lambda data: list(audio.blocks(data, mix=False))):
        with pytest.raises(AudioError, match=f"the samples reach {peak:g}, full scale is 1".replace("+", r"\+")):
            read(data)


@pytest.mark.parametrize(("at", "size", "reason"), [(22, 2, "channels"), (24, 4, "rate")])
def test_a_wav_of_no_channels_or_rate_is_refused_in_one_line(voice, at, size, reason):
    data = bytearray(encoded(voice))
    data[at : at + size] = bytes(size)
    for read in (audio.read, lambda data: list(audio.blocks(data))):
        with pytest.raises(AudioError) as refused:
            read(bytes(data))
        assert "\n" not in str(refused.value)


def test_a_name_that_ends_in_raw_is_no_matter(voice, tmp_path):
    (tmp_path / "sound.raw").write_bytes(encoded(voice))
    (tmp_path / "noise.raw").write_bytes(struct.pack("<400h", *range(400)))
    assert len(audio.decode(tmp_path / "sound.raw")) == len(voice)
    with pytest.raises(AudioError, match="unreadable"):
        audio.decode(tmp_path / "noise.raw")


def test_whatever_a_decoder_raises_is_the_error_of_its_recording(voice, monkeypatch):
    def fail(*_):
        raise TypeError("no\nsuch layout")

    monkeypatch.setattr(parts, "split", fail)
    for read in (audio.read, lambda data: list(audio.blocks(data))):
        with pytest.raises(AudioError, match="unexpected error: TypeError: no such layout"):
            read(encoded(voice))


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [
        (".caf", "caf", "pcm_s16le"),
        (".w64", "w64", "pcm_s16le"),
        (".ts", "mpegts", "aac"),
        (".mp2", "mp2", "mp2"),
        (".ac3", "ac3", "ac3"),
        (".avi", "avi", "pcm_s16le"),
        (".wv", "wv", "wavpack"),
        (".tta", "tta", "tta"),
    ],
)
def test_folders_take_the_suffixes_of_what_is_decoded(voice, suffix, container, codec):
    assert suffix in audio.SUFFIXES
    decoded = audio.read(muxed(voice, container, codec, 48000 if codec == "ac3" else 16000))
    assert len(decoded.samples) == pytest.approx(len(voice), abs=3000)
    assert decoded.notes == ()
