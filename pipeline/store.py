"""The Store: a corpus as full-length int16 waveforms at 16 kHz in memory-mapped Arrow files, and its Manifest.

A folder ``<corpus>-<fingerprint>`` holds ``part-*.arrow``, ``manifest.parquet``, ``rejected.csv``, ``figures/`` and,
written last, ``store.json`` with the checksum of each shard. Written by ``preprocess``, read by everything after it.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.errors import StoreError

INDEX = "store.json"
MANIFEST = "manifest.parquet"
REJECTED = "rejected.csv"
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
    _arrays: dict[int, pa.ListArray] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Raises ``StoreError`` where the folder is no complete Store."""
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise StoreError(f"{folder}: no complete Store here ({INDEX} is missing); run preprocess, or check --store")
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            table = pd.read_parquet(folder / MANIFEST)
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder}: damaged ({error}); delete the folder and run preprocess again") from None
        return cls(folder, index["name"], index["fingerprint"], index["split_by"], table, tuple(index["shards"]))

    def __len__(self) -> int:
        return len(self.manifest)

    def waveform(self, row: int) -> np.ndarray:
        """Samples of a Manifest row, ``[samples]`` int16, a read-only view of the file."""
        shard = int(self.manifest["shard"].iat[row])
        if shard not in self._arrays:
            source = pa.memory_map(str(self.folder / self.shards[shard]["file"]))
            self._arrays[shard] = pa.ipc.open_file(source).get_batch(0).column(0)
        samples = self._arrays[shard][int(self.manifest["position"].iat[row])].values
        return samples.to_numpy(zero_copy_only=True)

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
        """Read every shard and raise ``StoreError`` for the first whose checksum differs."""
        for shard in self.shards:
            if file_sha256(self.folder / shard["file"]) != shard["sha256"]:
                raise StoreError(
                    f"{self.folder / shard['file']}: checksum differs from {INDEX}'s, so its audio has changed; delete "
                    "the folder and run preprocess again"
                )


def write_shard(path: Path, waves: list[np.ndarray]) -> str:
    """Write int16 waveforms as one Arrow file, renamed into place when complete; returns its SHA-256."""
    offsets = np.concatenate([[0], np.cumsum([len(w) for w in waves])]).astype(np.int32)
    values = np.concatenate(waves) if waves else np.zeros(0, np.int16)
    column = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, type=pa.int16()))
    unfinished = path.with_suffix(".part")
    with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([column], schema=SCHEMA))
    unfinished.replace(path)
    return file_sha256(path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
