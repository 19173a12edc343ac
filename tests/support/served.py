"""What tests of the registered model send, and the row that they expect."""

import base64
import io

import numpy as np
import pytest
import soundfile

from pipeline.scoring.row import Row


def wav(wave: np.ndarray, rate_hz: int = 16000, **options) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate_hz, **{"format": "WAV", **options})
    return buffer.getvalue()


def text(recording: bytes) -> str:
    return base64.b64encode(recording).decode()


def same(answer: dict, expected: Row) -> bool:
    """Whether a row of an answer equals the detector's of the same clip."""
    wanted = {**vars(expected), "source": answer["source"], "latency_ms": answer["latency_ms"]}
    return answer == {k: pytest.approx(v, abs=1e-5) if isinstance(v, float) else v for k, v in wanted.items()}
