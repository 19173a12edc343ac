"""From the bytes of a recording to everything that the page shows, as plain values.

The row equals that of ``Detector.row``, so the page, ``score`` and serving agree.
"""

import base64
import dataclasses
import io
import time

import numpy as np

from pipeline import audio
from pipeline.audio import speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError
from pipeline.page import spectrogram
from pipeline.page.verdict import verdict
from pipeline.scoring.detector import Detector
from pipeline.scoring.timeline import Scorer

COLUMNS = 1200
"""Most columns of a picture: the width of a wide screen."""
MAX_WINDOWS = 300
"""Approximate limit on windows of the score over time: long recordings have wider steps."""
WINDOWS_A_CLIP = 8


def view(detector: Detector, recording: bytes, *, limits: audio.Limits) -> dict:
    """Score a recording and draw it; one that cannot be scored has only its row and a verdict with the reason."""
    started, point, fault = time.perf_counter(), detector.point(), None
    try:
        wave = detector.decode(recording, limits=limits)
    except AudioError as error:
        row, fault = detector.error_row("", error), error.kind
    else:
        row = detector.whole_row("", detector.score_windows(wave), point)
    row = dataclasses.replace(row, latency_ms=1000 * (time.perf_counter() - started))
    shown = {
        "row": dataclasses.asdict(row),
        "verdict": dataclasses.asdict(verdict(row, point, fault)),
        "threshold": point.threshold,
    }
    if fault:
        return shown
    config = detector.model.config
    scorer = Scorer(detector, hop_s=max(config.window.clip_s / WINDOWS_A_CLIP, row.duration_s / MAX_WINDOWS))
    scorer.add(wave)
    timeline = scorer.finish()
    spoofed = timeline.spoofed_segments(threshold=point.threshold)
    levels, band_hz = spectrogram.picture(wave, config.front_end, columns=COLUMNS)
    return shown | {
        "times_s": np.round(timeline.times_s, 4).tolist(),
        "scores": np.round(timeline.scores, 4).tolist(),
        "spoken": timeline.spoken.tolist(),
        "window_s": timeline.window_s,
        "spoofed_segments": [dataclasses.asdict(segment) for segment in spoofed],
        "speech": speech.segments(timeline.chunks),
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
    """Lowest and highest sample of each of ``columns`` equal parts of a recording ``[samples]``."""
    edges = np.linspace(0, len(wave), min(columns, len(wave)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)
    return {"low": np.round(low, 4).tolist(), "high": np.round(high, 4).tolist()}


def wav(recording: bytes, detector: Detector, *, limits: audio.Limits) -> bytes:
    """The decoded recording as a WAV file, for browsers that cannot play the original."""
    import soundfile

    wave = detector.decode(recording, limits=limits)
    file = io.BytesIO()
    soundfile.write(file, audio.to_int16(wave), SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()
