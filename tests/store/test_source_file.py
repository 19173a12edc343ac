"""Format of source files: what preprocessing records for the shortcut audit."""

import av
import numpy as np
import pytest
import soundfile

from pipeline.store import source_file


def written(path, codec: str = "", rate_hz: int = 16000, layout: str = "mono") -> str:
    """One second of noise in a file, by FFmpeg when a codec is named."""
    wave = np.random.default_rng(0).normal(0, 0.1, (rate_hz, 2 if layout == "stereo" else 1)).astype(np.float32)
    if not codec:
        soundfile.write(path, wave, rate_hz, subtype="VORBIS" if path.suffix == ".ogg" else None)
        return str(path)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(wave.T.copy(), format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate_hz, stream.codec_context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [
        ("a.wav", {}, ("WAV PCM_16", 16000, 1)),
        ("a.flac", {"rate_hz": 8000, "layout": "stereo"}, ("FLAC PCM_16", 8000, 2)),
        ("a.mov", {"codec": "alac", "rate_hz": 44100}, ("mov,mp4,m4a,3gp,3g2,mj2 alac", 44100, 1)),
    ],
)
def test_lossless_files_have_no_bit_rate(tmp_path, name, made, expected):
    assert tuple(source_file.describe(written(tmp_path / name, **made), 1.0).values()) == (*expected, 0.0)


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.ogg", "", ("OGG VORBIS", 16000, 1)),
        ("a.m4a", "aac", ("mov,mp4,m4a,3gp,3g2,mj2 aac", 16000, 1)),
        ("a.g722", "g722", ("g722 g722", 16000, 1)),
    ],
)
def test_lossy_files_have_the_bit_rate_of_size_and_duration(tmp_path, name, codec, expected):
    found = source_file.describe(written(tmp_path / name, codec), 2.0)
    assert tuple(found.values())[:3] == expected
    assert found["file_kbit_s"] == pytest.approx(8 * (tmp_path / name).stat().st_size / 2000)


def test_unknown_formats_are_empty(tmp_path):
    (tmp_path / "a.txt").write_text("no audio")
    expected = {"file_format": "", "file_rate_hz": 0, "file_channels": 0, "file_kbit_s": 0.0}
    assert source_file.describe(str(tmp_path / "a.txt"), 1.0) == expected
