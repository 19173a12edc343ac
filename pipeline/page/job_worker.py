"""Analysis of a long recording in a separate process, started by ``jobs``; it shares only files with the server.

Reads ``upload``, writes ``progress.json`` as it works and ``result.json`` at the end: what ``view`` makes of a short
recording, for each party. Memory stays bounded.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.common import files, parallel
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError, AudioFault
from pipeline.page import view
from pipeline.page.spectrogram import Columns
from pipeline.page.verdict import verdict
from pipeline.scoring import parties
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.parties import Party
from pipeline.scoring.row import Row

UPLOAD, PROGRESS, RESULT = "upload", "progress.json", "result.json"
PASSES = ("extent", "speech", "scores", "picture")
"""Times that a recording is read."""
MAX_S = 6 * 3600.0
MAX_CHANNELS = 8
PROGRESS_EVERY_S = 0.5
NICENESS = 5
"""Uploads and streams come first."""


def run(folder: Path, model: ModelFolder, mix: bool) -> None:
    """Process: analyse the upload of a job's folder with a model."""
    parallel.end_with_parent()
    os.nice(NICENESS)
    # A server that was killed may have left its worker a moment more.
    with files.locked(folder / "lock", AudioError(AudioFault.REFUSED, "another process analyses this recording")):
        files.write_json(folder / RESULT, analysis(folder, Detector(model), mix=mix))


def analysis(folder: Path, detector: Detector, *, mix: bool) -> dict:
    """``channels`` with the view of each party, or ``error`` with the row and verdict of an unreadable recording."""
    started, point = time.perf_counter(), detector.model.point()
    try:
        found, pictures, notes = _read(folder, detector, mix)
    except Exception as error:  # whatever a recording does, its job has a result
        fault = AudioError.of(error)
        row = detector.error_row("", fault)
        return {"error": view.unscored(row, verdict(row, point, fault.kind), point)}
    latency_ms, note = 1000 * (time.perf_counter() - started), "; ".join(map(str, notes))
    channels = []
    for party, picture in zip(found, pictures, strict=True):
        row = dataclasses.replace(party.row, latency_ms=latency_ms, note=note)
        outline = view.reduced(party.outline, view.COLUMNS)
        shown = view.scored_view(
            row, party.scored, party.spoofed_segments, point, outline, picture.picture(), detector.model
        )
        channels.append({"channel": party.channel} | shown)
    return {"channels": channels}


def ended(model: ModelFolder) -> dict:
    """Row and verdict of a recording whose analysis ends again and again without a result."""
    fault = AudioError(AudioFault.UNEXPECTED, "the analysis was ended from outside, perhaps for want of memory")
    row, point = Row("", model_version=model.model_version, error=str(fault)), model.point()
    return view.unscored(row, verdict(row, point, fault.kind), point)


def _read(folder: Path, detector: Detector, mix: bool) -> tuple[list[Party], list[Columns], list[audio.Note]]:
    limits = audio.Limits(max_channels=MAX_CHANNELS, max_rate_hz=192000)
    notes: list[audio.Note] = []
    passes, progress = iter(enumerate(PASSES)), Progress(folder / PROGRESS)

    def read() -> Iterator[np.ndarray]:
        notes.clear()
        return progress.watch(audio.blocks(folder / UPLOAD, mix=mix, limits=limits, notes=notes), *next(passes))

    found = parties.find(read, detector, mixed=mix, point=detector.model.point())
    front_end = detector.model.config.front_end
    pictures = [Columns(party.scored.samples, front_end, view.COLUMNS) for party in found]
    for block in read():
        for picture, samples in zip(pictures, block.T, strict=True):
            picture.add(samples)
    return found, pictures, notes


class Progress:
    """File that tells how far the passes over a recording have come.

    Parameters
    ----------
    path : of the file; ``share`` in it is 0 to 1, ``at_s`` the place in the recording.
    """

    def __init__(self, path: Path):
        self._path = path
        self._written = -PROGRESS_EVERY_S
        self._samples = 0

    def watch(self, blocks: Iterable[np.ndarray], number: int, name: str) -> Iterator[np.ndarray]:
        """Pass on the blocks of one pass; raises ``AudioError`` if the recording is too long."""
        samples = 0
        for block in blocks:
            yield block
            samples += len(block)
            if samples > MAX_S * SAMPLE_RATE_HZ:
                raise AudioError(AudioFault.TOO_LONG, f"over {MAX_S / 3600:g} hours")
            if time.monotonic() - self._written >= PROGRESS_EVERY_S:
                self._written = time.monotonic()
                # The length is known after the first pass.
                share = (number + samples / self._samples) / len(PASSES) if self._samples else 0.0
                at_s = samples / SAMPLE_RATE_HZ
                files.write_json(self._path, {"pass": name, "at_s": round(at_s, 1), "share": round(share, 3)})
        self._samples = samples


def progress(folder: Path) -> dict:
    """What ``progress.json`` of a job's folder holds; nothing has been read without it."""
    try:
        return json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"pass": PASSES[0], "at_s": 0.0, "share": 0.0}
