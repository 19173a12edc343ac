"""The Store: a corpus as full-length int16 waveforms at 16 kHz in memory-mapped Arrow files, and its Manifest.

A folder ``<corpus>-<fingerprint>`` holds ``part-*.arrow``, ``manifest.parquet``, ``rejected.csv``, ``noted.csv``,
``figures/`` and, written last, ``store.json`` with the checksums of shards and Manifest. ``preprocess`` writes it; all
later stages read it and check what they read.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import audio
from pipeline.audio import speech
from pipeline.audio.speech import Speech
from pipeline.common import files
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import StoreError
from pipeline.store import segments, splits
from pipeline.store.segments import Segments

INDEX = "store.json"
MANIFEST = "manifest.parquet"
REJECTED = "rejected.csv"
"""Recordings that are left out: path, kind, reason."""
NOTED = "noted.csv"
"""Recordings that are used although something about them is odd: the same columns."""
SAMPLE_BYTES = 2
SCHEMA = pa.schema([("samples", pa.list_(pa.int16()))])


@dataclass(frozen=True)
class Store:
    """Complete Store, opened for reading; each waveform is read from disk when it is asked for."""

    folder: Path
    name: str
    fingerprint: str
    split_by: str
    manifest: pd.DataFrame
    shards: tuple[dict, ...]
    _opened: dict[int, "_Shard"] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open a folder; raises ``StoreError`` if it is no complete Store."""
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise StoreError(f"{folder}: no complete Store here ({INDEX} is missing); run preprocess, or check --store")
        try:
            index = files.read_sealed(folder / INDEX)
            # Stores made without it are read too.
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

    def speech(self, row: int) -> Speech:
        """Speech of a Manifest row, as preprocessing found it; Stores without the column are searched each time."""
        if "speech" in self.manifest:
            return Speech.parse(self.manifest["speech"].iat[row])
        return speech.find(self.waveform(row))

    @property
    def leaks(self) -> bool:
        """Whether subsets share speakers, see ``splits.leaks``."""
        return splits.leaks(self.split_by)

    @cached_property
    def has_segments(self) -> bool:
        """Whether a recording lists which parts of it are spoofed."""
        return segments.COLUMNS[0] in self.manifest and bool((self.manifest[segments.COLUMNS[0]] != "").any())

    def segments(self, row: int) -> Segments:
        """Spoofed segments that a Manifest row lists."""
        if not self.has_segments:
            return ()
        duration_s = float(self.manifest["duration_s"].iat[row])
        listed = segments.parse(*(self.manifest[name].iat[row] for name in segments.COLUMNS))
        return tuple((start, min(end, duration_s)) for start, end in listed)

    def _shard(self, number: int) -> "_Shard":
        """Shard of a number, checked at its first use, which reads it once from disk."""
        if number not in self._opened:
            path = self.folder / self.shards[number]["file"]
            _check(path, self.shards[number]["sha256"])
            self._opened[number] = _Shard(path)
        return self._opened[number]

    def lengths(self) -> np.ndarray:
        """Samples of each Manifest row, ``[rows]`` int64, known without reading the audio."""
        return np.rint(self.manifest["duration_s"].to_numpy(float) * SAMPLE_RATE_HZ).astype(np.int64)

    def subset(self, name: str) -> np.ndarray:
        """Row numbers of train, dev or eval, ascending."""
        return np.flatnonzero((self.manifest["split"] == name).to_numpy())

    def trials(self, subset: str) -> str:
        """Checksum of a subset's names, labels and audio: equal for two Stores exactly when all of these are."""
        rows = self.manifest.iloc[self.subset(subset)]
        text = "\n".join(
            sorted(f"{u} {s} {lab}" for u, s, lab in zip(rows.utterance_id, rows.sha256, rows.label, strict=True))
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def verify(self) -> None:
        """Raise ``StoreError`` for the first shard that has changed since it was written."""
        for number in range(len(self.shards)):
            self._shard(number)


class _Shard:
    """Mapped Arrow file with the bytes at which each recording starts and ends; Arrow's arrays take 1 kB each."""

    def __init__(self, path: Path):
        self._bytes = pa.memory_map(str(path)).read_buffer()
        with pa.ipc.open_file(self._bytes) as reader:
            columns = (reader.get_batch(number).column(0) for number in range(reader.num_record_batches))
            bounds = [self._place(column.values) + column.offsets.to_numpy() * SAMPLE_BYTES for column in columns]
        self._starts = np.concatenate([np.zeros(0, np.int64), *(own[:-1] for own in bounds)])
        self._ends = np.concatenate([np.zeros(0, np.int64), *(own[1:] for own in bounds)])

    def _place(self, values: pa.Array) -> int:
        """Byte of the file at which an array of samples begins."""
        return values.buffers()[1].address - self._bytes.address

    def samples(self, position: int) -> np.ndarray:
        """Samples of one recording, ``[samples]`` int16, a read-only view of the file."""
        start, end = int(self._starts[position]), int(self._ends[position])
        return np.frombuffer(self._bytes, np.int16, (end - start) // SAMPLE_BYTES, start)


def write_shard(path: Path, waves: Iterable[np.ndarray]) -> str:
    """Write int16 waveforms as one Arrow file, renamed into place when complete; returns its SHA-256.

    Each waveform is one batch, written before the next waveform is asked for.
    """
    with files.whole_file(path, shared=True) as unfinished, unfinished.open("wb") as file:
        hashed = _Hashed(file)
        with pa.PythonFile(hashed, "w") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            for wave in waves:
                column = pa.ListArray.from_arrays(pa.array([0, len(wave)], pa.int32()), pa.array(wave, pa.int16()))
                writer.write_batch(pa.record_batch([column], schema=SCHEMA))
    return hashed.sha256.hexdigest()


class _Hashed:
    """File wrapper that hashes while writing, so the shard need not be read back."""

    closed = False

    def __init__(self, file: BinaryIO):
        self.sha256 = hashlib.sha256()
        self._file = file
        self.flush, self.tell = file.flush, file.tell

    def write(self, data: memoryview) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def close(self) -> None:
        """Does nothing: the caller closes the file."""


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise StoreError(f"{path}: missing; delete its folder and run preprocess again")
    if files.sha256(path) != expected:
        raise StoreError(
            f"{path}: its checksum is not the one in {INDEX}, so it has changed; delete its folder and run preprocess "
            "again"
        )
