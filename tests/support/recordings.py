"""Recordings as files of every format, made in memory."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from pipeline import audio

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def encoded(wave: np.ndarray, rate_hz: int = 16000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """A file by libsndfile of ``[samples]`` or ``[samples, channels]``."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format=format, subtype=subtype)
    return file.getvalue()


def muxed(
    wave: np.ndarray, container: str, codec: str, rate_hz: int = 16000, *, wave_hz: int = 16000, **options: str
) -> bytes:
    """A file by FFmpeg of ``[samples]`` or ``[samples, channels]`` at ``wave_hz``; ``options`` are the container's."""
    return tracks({"und": wave}, container, codec, rate_hz, wave_hz=wave_hz, **options)


def tracks(
    waves: dict[str, np.ndarray],
    container: str,
    codec: str,
    rate_hz: int = 16000,
    *,
    wave_hz: int = 16000,
    default: int = 0,
    **options: str,
) -> bytes:
    """A file by FFmpeg with an audio track for each language."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"  # MP4 and MOV must seek
        with av.open(str(path), "w", format=container, options=options) as output:
            streams = []
            for number, (language, wave) in enumerate(waves.items()):
                stream = output.add_stream(codec, rate=rate_hz, layout=LAYOUTS[wave[:1].size])
                stream.bit_rate = 64000
                stream.metadata["language"] = language
                stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
                streams.append(stream)
            for wave, stream in zip(waves.values(), streams, strict=True):
                for packet in _packets(stream, wave.reshape(len(wave), -1), rate_hz, wave_hz):
                    output.mux(packet)
        return path.read_bytes()


def _packets(stream: av.AudioStream, wave: np.ndarray, rate_hz: int, wave_hz: int) -> Iterator[av.Packet]:
    samples, layout = np.ascontiguousarray(audio.to_int16(wave)), LAYOUTS[wave.shape[1]]
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = wave_hz
    resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate_hz)
    fifo, done = av.AudioFifo(), 0
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        part.pts = None
        fifo.write(part)
    while (part := fifo.read(stream.codec_context.frame_size or 320, partial=True)) is not None:
        part.pts, done = done, done + part.samples
        yield from stream.encode(part)
    yield from stream.encode(None)
