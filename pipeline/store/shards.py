"""One shard of a Store: the unit of preprocessing, made by one process of this machine or of a cluster.

Attempts at a shard may overlap, as when a cluster gives up a machine that still runs. Each writes under a unique name
and renames the complete file, so the last one leaves the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.audio import speech
from pipeline.common import files
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError
from pipeline.store import source_file, store

TOGETHER_SAMPLES = 240 * SAMPLE_RATE_HZ
"""Samples of recordings whose speech is found together."""


@dataclass(frozen=True)
class Task:
    """Shard to make: its folder and number, and the paths of its recordings in order."""

    folder: str
    number: int
    paths: tuple[str, ...]
    settings: AudioConfig
    reject: tuple[audio.NoteKind, ...] = ()
    """Kinds of notes for which a recording is left out."""

    @property
    def file(self) -> Path:
        return Path(self.folder) / f"part-{self.number:05d}.arrow"

    @property
    def note(self) -> Path:
        """Contents of a complete shard; removed when the Store is complete."""
        return self.file.with_suffix(".json")


def make(task: Task) -> int:
    """Decode the recordings of a task into its shard, a few in memory at a time; returns their number."""
    rows: list[dict] = []
    checksum = store.write_shard(task.file, _decoded(task, rows))
    files.write_json(task.note, {"file": task.file.name, "sha256": checksum, "rows": rows}, shared=True)
    return len(task.paths)


def _decoded(task: Task, rows: list[dict]) -> Iterator[np.ndarray]:
    """Samples of each recording that can be decoded; adds values of the Manifest, or a rejection, for every one."""
    position = 0
    waiting: list[tuple[dict, audio.Decoded]] = []  # recordings whose speech is still to be found
    for path in task.paths:
        try:
            decoded = audio.read(path, config=task.settings)
            duration_s = len(decoded.samples) / SAMPLE_RATE_HZ
            file = source_file.describe(path, duration_s)
        except Exception as error:  # no recording may end a job
            fault = AudioError.of(error)
            rows.append({"kind": fault.kind, "reason": str(fault)})
            continue
        if refused := [note for note in decoded.notes if note.kind in task.reject]:
            rows.append({"kind": refused[0].kind, "reason": str(refused[0])})
            continue
        place = {"shard": task.number, "position": position, "duration_s": duration_s}
        notes = [(note.kind, str(note)) for note in decoded.notes]
        rows.append(place | {"sha256": audio.sha256(decoded.samples), "notes": notes} | file)
        waiting.append((rows[-1], decoded))
        if sum(len(other.samples) for _, other in waiting) >= TOGETHER_SAMPLES:
            _find_speech(waiting)
            waiting = []
        position += 1
        yield decoded.samples
    _find_speech(waiting)


def _find_speech(decoded: list[tuple[dict, audio.Decoded]]) -> None:
    """Add the speech of recordings to their rows."""
    found = speech.find_all([recording.wave for _, recording in decoded])
    for (row, _), own in zip(decoded, found, strict=True):
        row["speech"] = str(own)
