"""One shard of a Store: the unit of preprocessing, made in one go by a process of this machine or of a cluster.

Attempts at a shard may overlap, as when a cluster gives up a machine that still runs: each writes under a name of its
own and renames what it completed, so whichever comes last leaves the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.config import SAMPLE_RATE_HZ, AudioConfig
from pipeline.errors import AudioError
from pipeline.store import source_file, store


@dataclass(frozen=True)
class Task:
    """One shard to make: where, and the paths of its recordings in order."""

    folder: str
    number: int
    paths: tuple[str, ...]
    settings: AudioConfig

    @property
    def file(self) -> Path:
        return Path(self.folder) / f"part-{self.number:05d}.arrow"

    @property
    def note(self) -> Path:
        """What a complete shard holds; removed when the Store is complete."""
        return self.file.with_suffix(".json")


def make(task: Task) -> int:
    """Decode the recordings of a task into its shard, one in memory at a time; returns how many there were."""
    rows: list[dict] = []
    checksum = store.write_shard(task.file, _decoded(task, rows))
    unfinished = store.unfinished_name(task.note)
    unfinished.write_text(json.dumps({"file": task.file.name, "sha256": checksum, "rows": rows}), encoding="utf-8")
    unfinished.replace(task.note)
    return len(task.paths)


def _decoded(task: Task, rows: list[dict]) -> Iterator[np.ndarray]:
    """The samples of each recording that can be decoded; a row of the Manifest, or a reason, is added for each."""
    position = 0
    for path in task.paths:
        try:
            samples = audio.read(path, config=task.settings).samples
        except AudioError as error:
            rows.append({"reason": str(error)})
            continue
        duration_s = len(samples) / SAMPLE_RATE_HZ
        place = {"shard": task.number, "position": position, "duration_s": duration_s, "sha256": audio.sha256(samples)}
        rows.append(place | source_file.describe(path, duration_s))
        position += 1
        yield samples
