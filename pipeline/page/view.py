"""From the bytes of a recording to all that the page shows of it, as plain values.

The row is ``Detector.row``'s and nothing else, so the page cannot say another thing than ``score`` and serving do.
"""

import base64
import dataclasses
import io

import numpy as np

from pipeline import audio
from pipeline.audio import speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.page import spectrogram
from pipeline.page.verdict import verdict
from pipeline.scoring.detector import Detector
from pipeline.scoring.timeline import Scorer

COLUMNS = 1200
"""Columns of the pictures at most: what a wide screen can show."""
MAX_WINDOWS = 300
"""Windows of the score over time, about: they come further apart where a recording is long."""
WINDOWS_A_CLIP = 8


def view(detector: Detector, recording: bytes, *, limits: audio.Limits) -> dict:
    """Score a recording and draw it. One that cannot be scored has its row and a verdict that says why, alone."""
    row = detector.row("", recording, limits=limits)
    point = detector.point()
    shown = {
        "row": dataclasses.asdict(row),
        "verdict": dataclasses.asdict(verdict(row, point)),
        "threshold": point.threshold,
    }
    if row.error:
        return shown
    config = detector.model.config
    wave = audio.decode(recording, config=config.audio, limits=limits)
    scorer = Scorer(detector, hop_s=max(config.window.clip_s / WINDOWS_A_CLIP, row.duration_s / MAX_WINDOWS))
    scorer.hear(wave)
    heard = scorer.finish()
    levels, band_hz = spectrogram.picture(wave, config.front_end, columns=COLUMNS)
    return shown | {
        "times_s": np.round(heard.times_s, 4).tolist(),
        "scores": np.round(heard.scores, 4).tolist(),
        "spoken": heard.spoken.tolist(),
        "window_s": heard.window_s,
        "spoofed_segments": [dataclasses.asdict(found) for found in heard.spoofed_segments(threshold=point.threshold)],
        "speech": speech.segments(heard.chunks),
        "waveform": outline(wave, COLUMNS),
        "spectrogram": {
            "kind": spectrogram.kind(config.front_end),
            "seen_by_model": config.front_end.front_end == spectrogram.kind(config.front_end),
            "bands": levels.shape[0],
            "columns": levels.shape[1],
            "band_hz": np.round(band_hz, 1).tolist(),
            "levels": base64.b64encode(levels.tobytes()).decode(),
        },
    }


def outline(wave: np.ndarray, columns: int) -> dict[str, list[float]]:
    """Lowest and highest sample of each of so many equal parts of a recording ``[samples]``."""
    edges = np.linspace(0, len(wave), min(columns, len(wave)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)
    return {"low": np.round(low, 4).tolist(), "high": np.round(high, 4).tolist()}


def wav(recording: bytes, detector: Detector, *, limits: audio.Limits) -> bytes:
    """What the model hears, as a WAV file: for browsers that cannot play a recording themselves."""
    import soundfile

    wave = audio.decode(recording, config=detector.model.config.audio, limits=limits)
    file = io.BytesIO()
    soundfile.write(file, audio.to_int16(wave), SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()
