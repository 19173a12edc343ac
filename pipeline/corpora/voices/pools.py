"""Speech kept between the steps of a build, one file per voice: a killed build resumes, and memory stays small."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.common import files


def write(path: Path, waves: Mapping[str, Sequence[np.ndarray]], **columns: Sequence) -> None:
    """Keep lists of int16 waves ``[samples]`` by name, and columns of values, whole or not at all."""
    arrays = {f"{name}/{i}": wave for name, own in waves.items() for i, wave in enumerate(own)}
    counts = {f"{name}/count": np.array(len(own)) for name, own in waves.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays, **counts, **{name: np.array(values) for name, values in columns.items()})


def column(path: Path, name: str) -> list:
    """A column of values."""
    with np.load(path) as pool:
        return pool[name].tolist()


def wave(path: Path, name: str, number: int) -> np.ndarray:
    """One wave as float32 ``[samples]`` in −1…1."""
    with np.load(path) as pool:
        return pool[f"{name}/{number}"].astype(np.float32) / 32768


@lru_cache(maxsize=16)
def waves(path: Path, name: str) -> list[np.ndarray]:
    """All waves of that name as float32 ``[samples]`` in −1…1."""
    with np.load(path) as pool:
        return [pool[f"{name}/{i}"].astype(np.float32) / 32768 for i in range(int(pool[f"{name}/count"]))]
