"""From the bytes of a recording to everything that the page shows, as plain values.

The row equals that of ``Detector.row``, so the page, ``score`` and serving agree. The score over time comes from the
same pass of the network and of the speech detector.
"""

import base64
import dataclasses
import io
import time
from collections.abc import Sequence

import numpy as np

from pipeline import audio
from pipeline.audio import bands
from pipeline.audio.speech import Speech
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError
from pipeline.metrics.calibration import OperatingPoint
from pipeline.page import spectrogram
from pipeline.page.verdict import Verdict, verdict
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row
from pipeline.scoring.scored_windows import ScoredWindows
from pipeline.scoring.spoofed_segments import SpoofedSegment

COLUMNS = 1200
"""Most columns of a picture: the width of a wide screen."""
FINE_STEPS_PER_CLIP = 8
MAX_FINE_WINDOWS = 300
"""Recordings with more fine steps than this show only the windows of the score."""


def view(detector: Detector, recording: bytes, *, limits: audio.Limits) -> dict:
    """Score a recording and draw it; one that cannot be scored has only its row and a verdict with the reason."""
    started, point, fault = time.perf_counter(), detector.model.point(), None
    try:
        decoded = detector.decode(recording, limits=limits)
        wave = decoded.wave
        scored = detector.score_windows(wave, drawn=lambda found: drawn_starts(found, detector.model.clip_samples))
    except Exception as error:  # the page shows any error as that of the recording
        fault = AudioError.of(error)
        row, fault = detector.error_row("", fault), fault.kind
    else:
        spoofed = scored.spoofed_segments(threshold=point.segment_threshold)
        row = dataclasses.replace(detector.whole_row("", scored, point, spoofed), note=decoded.note)
    row = dataclasses.replace(row, latency_ms=1000 * (time.perf_counter() - started))
    if fault:
        return unscored(row, verdict(row, point, fault), point)
    drawn = spectrogram.picture(wave, detector.model.config.front_end, columns=COLUMNS)
    return scored_view(row, scored, spoofed, point, outline(wave, COLUMNS), drawn, detector.model)


def unscored(row: Row, said: Verdict, point: OperatingPoint) -> dict:
    """Row and verdict only."""
    return {"row": dataclasses.asdict(row), "verdict": dataclasses.asdict(said), "threshold": point.threshold}


def scored_view(
    row: Row,
    scored: ScoredWindows,
    spoofed: Sequence[SpoofedSegment],
    point: OperatingPoint,
    waveform: np.ndarray,
    drawn: tuple[np.ndarray, np.ndarray],
    model: ModelFolder,
) -> dict:
    """View of a scored recording from its row, windows and spoofed segments, outline and picture."""
    levels, band_hz = drawn
    front_end = model.config.front_end
    return unscored(row, verdict(row, point), point) | {
        "times_s": np.round(scored.times_s, 4).tolist(),
        "scores": np.round(scored.scores, 4).tolist(),
        "spoken": scored.spoken.tolist(),
        "window_s": scored.window_s,
        "spoofed_segments": [dataclasses.asdict(segment) for segment in spoofed],
        "speech": scored.speech.segments(),
        "waveform": dict(zip(("low", "high"), np.round(waveform.T, 4).tolist(), strict=True)),
        "spectrogram": {
            "kind": bands.kind(front_end),
            "seen_by_model": front_end.front_end == bands.kind(front_end),
            "bands": levels.shape[0],
            "columns": levels.shape[1],
            "band_hz": np.round(band_hz, 1).tolist(),
            "levels": base64.b64encode(levels.tobytes()).decode(),
        },
    }


def drawn_starts(found: Speech, clip_samples: int) -> Sequence[int]:
    """First sample of each window that is drawn beside those of the score."""
    hop = max(1, clip_samples // FINE_STEPS_PER_CLIP)
    fine = range(found.start, max(found.start, found.end - clip_samples) + 1, hop)
    return fine if len(fine) <= MAX_FINE_WINDOWS else ()


def outline(wave: np.ndarray, columns: int) -> np.ndarray:
    """Lowest and highest sample ``[columns, 2]`` of equal parts of a recording ``[samples]``."""
    return reduced(np.stack([wave, wave], axis=1), columns)


def reduced(extremes: np.ndarray, columns: int) -> np.ndarray:
    """Lowest and highest sample ``[columns, 2]`` of equal parts of those of shorter parts ``[parts, 2]``."""
    edges = np.linspace(0, len(extremes), min(columns, len(extremes)) + 1).astype(int)[:-1]
    low, high = extremes.T
    return np.stack([np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges)], axis=1)


def wav(recording: bytes, detector: Detector, *, limits: audio.Limits) -> bytes:
    """The decoded recording as a WAV file, for browsers that cannot play the original."""
    import soundfile

    wave = detector.decode(recording, limits=limits).wave
    file = io.BytesIO()
    soundfile.write(file, audio.to_int16(wave), SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()
