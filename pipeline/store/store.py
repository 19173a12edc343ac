"""The Store: a corpus as full-length int16 waveforms at 16 kHz in memory-mapped Arrow files, and its Manifest.

A folder ``<corpus>-<fingerprint>`` holds ``part-*.arrow``, ``manifest.parquet``, ``rejected.csv``, ``figures/`` and,
written last, ``store.json`` with the checksums of shards and Manifest. Written by ``preprocess``, read by everything
after it, and checked while it is read.
"""

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import audio
from pipeline.common import files
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import StoreError

INDEX = "store.json"
MANIFEST = "manifest.parquet"
REJECTED = "rejected.csv"
UNFINISHED = ".part"
SAMPLE_BYTES = 2
SCHEMA = pa.schema([("samples", pa.list_(pa.int16()))])


@dataclass(frozen=True)
class Store:
    """A complete Store, opened for reading; waveforms are read from disk as they are asked for."""

    folder: Path
    name: str
    fingerprint: str
    split_by: str
    manifest: pd.DataFrame
    shards: tuple[dict, ...]
    _opened: dict[int, "_Shard"] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Raises ``StoreError`` where the folder is no complete Store."""
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise StoreError(f"{folder}: no complete Store here ({INDEX} is missing); run preprocess, or check --store")
        try:
            index = files.read_sealed(folder / INDEX)
            # Stores that were made without it are read all the same.
            if "manifest_sha256" in index:
                _check(folder / MANIFEST, index["manifest_sha256"])
            table = pd.read_parquet(folder / MANIFEST)
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder}: damaged ({error}); delete the folder and run preprocess again") from None
        return cls(folder, index["name"], index["fingerprint"], index["split_by"], table, tuple(index["shards"]))

    def __len__(self) -> int:
        return len(self.manifest)

    def waveform(self, row: int) -> np.ndarray:
        """Waveform of a Manifest row, ``[samples]`` float32 in −1…1; raises ``StoreError`` as ``samples`` does."""
        return audio.to_float(self.samples(row))

    def samples(self, row: int) -> np.ndarray:
        """Samples of a Manifest row, ``[samples]`` int16, a read-only view of the file.

        Raises ``StoreError`` if the shard has changed since it was written.
        """
        return self._shard(int(self.manifest["shard"].iat[row])).samples(int(self.manifest["position"].iat[row]))

    def _shard(self, number: int) -> "_Shard":
        """A shard; whoever asks first has it checked, at the cost of reading it once from disk."""
        if number not in self._opened:
            path = self.folder / self.shards[number]["file"]
            _check(path, self.shards[number]["sha256"])
            self._opened[number] = _Shard(path)
        return self._opened[number]

    def lengths(self) -> np.ndarray:
        """Samples of each Manifest row, ``[rows]`` int64, without a look at the audio."""
        return np.rint(self.manifest["duration_s"].to_numpy(float) * SAMPLE_RATE_HZ).astype(np.int64)

    def subset(self, name: str) -> np.ndarray:
        """Row numbers of train, dev or eval, ascending."""
        return np.flatnonzero((self.manifest["split"] == name).to_numpy())

    def trials(self, subset: str) -> str:
        """Checksum of a subset's trials: equal for two Stores exactly when names and audio of the subset are."""
        rows = self.manifest.iloc[self.subset(subset)]
        text = "\n".join(
            sorted(f"{u} {s} {lab}" for u, s, lab in zip(rows.utterance_id, rows.sha256, rows.label, strict=True))
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def verify(self) -> None:
        """Raise ``StoreError`` for the first shard that is not the one that was written."""
        for number in range(len(self.shards)):
            self._shard(number)


class _Shard:
    """A mapped Arrow file, and where in it the samples of each recording lie: Arrow's own arrays take 1 kB for each."""

    def __init__(self, path: Path):
        self._bytes = pa.memory_map(str(path)).read_buffer()
        with pa.ipc.open_file(self._bytes) as reader:
            columns = (reader.get_batch(number).column(0) for number in range(reader.num_record_batches))
            bounds = [self._place(column.values) + column.offsets.to_numpy() * SAMPLE_BYTES for column in columns]
        self._starts = np.concatenate([np.zeros(0, np.int64), *(own[:-1] for own in bounds)])
        self._ends = np.concatenate([np.zeros(0, np.int64), *(own[1:] for own in bounds)])

    def _place(self, values: pa.Array) -> int:
        """The byte of the file where an array of samples begins."""
        return values.buffers()[1].address - self._bytes.address

    def samples(self, position: int) -> np.ndarray:
        """Of one recording, ``[samples]`` int16, a read-only view of the file."""
        start, end = int(self._starts[position]), int(self._ends[position])
        return np.frombuffer(self._bytes, np.int16, (end - start) // SAMPLE_BYTES, start)


def write_shard(path: Path, waves: Iterable[np.ndarray]) -> str:
    """Write int16 waveforms as one Arrow file, renamed into place when complete; returns its SHA-256.

    Each is a batch of its own, written before the next one is asked for.
    """
    unfinished = unfinished_name(path)
    with unfinished.open("wb") as file:
        summed = _Summed(file)
        with pa.PythonFile(summed, "w") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            for wave in waves:
                column = pa.ListArray.from_arrays(pa.array([0, len(wave)], pa.int32()), pa.array(wave, pa.int16()))
                writer.write_batch(pa.record_batch([column], schema=SCHEMA))
    unfinished.replace(path)
    return summed.sha256.hexdigest()


class _Summed:
    """A file that sums up what is written to it; read back from the disk for that it would cost as much again."""

    closed = False

    def __init__(self, file: BinaryIO):
        self.sha256 = hashlib.sha256()
        self._file = file
        self.flush, self.tell = file.flush, file.tell

    def write(self, data: memoryview) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def close(self) -> None:
        """Left to whoever opened the file."""


def unfinished_name(path: Path) -> Path:
    """Where to write a file of a Store before it is complete: a name that no other attempt at it has."""
    return path.with_suffix(f".{uuid.uuid4().hex}{UNFINISHED}")


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise StoreError(f"{path}: missing; delete its folder and run preprocess again")
    if files.sha256(path) != expected:
        raise StoreError(
            f"{path}: its checksum is not the one in {INDEX}, so it has changed; delete its folder and run preprocess "
            "again"
        )
