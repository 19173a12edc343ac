"""Real codecs: a waveform through one of FFmpeg's encoders and back through this project's decoder."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.audio.decoding import decode
from pipeline.audio.samples import to_int16
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig

_LIMITS = AudioConfig(min_s=0.0, max_s=3600.0, silence_dbfs=-200.0)


@dataclass(frozen=True)
class Codec:
    """FFmpeg's names of an encoder and of its container, and the encoder's options; ``bits_per_s`` 0: its own."""

    encoder: str
    container: str
    bits_per_s: int = 0
    rate_hz: int = SAMPLE_RATE_HZ
    options: Mapping[str, str] | None = None


def through(wave: np.ndarray, codec: Codec) -> np.ndarray:
    """Waveform ``[samples]`` in −1…1 at 16 kHz after a codec; the length may change by a part of a frame.

    Raises ``AudioError`` if the codec leaves nothing but zeros.
    """
    import av
    import soxr

    if codec.rate_hz != SAMPLE_RATE_HZ:
        wave = soxr.resample(wave.astype(np.float32), SAMPLE_RATE_HZ, codec.rate_hz)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container) as output:
        stream = output.add_stream(
            codec.encoder,
            rate=codec.rate_hz,
            layout="mono",
            bit_rate=codec.bits_per_s,
            options=dict(codec.options or {}),
        )
        frame = av.AudioFrame.from_ndarray(to_int16(wave)[None], format="s16", layout="mono")
        frame.sample_rate = codec.rate_hz
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return decode(buffer.getvalue(), config=_LIMITS)
