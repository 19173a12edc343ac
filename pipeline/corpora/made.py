"""Corpora that are made on the user's machine: where they lie, how they are read, and work on all cores."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.common import files, parallel
from pipeline.common.parallel import AHEAD
from pipeline.common.progress import track
from pipeline.config import artifacts_dir
from pipeline.corpora import asvspoof2017
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError


def ensure(name: str, version: int, build: Callable[[Path], None]) -> Path:
    """Folder of a version of a corpus, which ``build`` makes if it is missing; ``DATA.md`` is written last.

    Raises ``CorpusError`` while another process makes it.
    """
    folder = artifacts_dir() / "corpora" / f"{name}-v{version}"
    if not (folder / "DATA.md").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        busy = CorpusError(f"{folder}: another process is making it; wait for that, or end it")
        with files.locked(folder.with_name(f"{folder.name}.lock"), busy):
            if not (folder / "DATA.md").is_file():  # another process may have made it since
                build(folder)
    return folder


def read(data_dir: Path, parts: tuple[str, ...], attack_names: Mapping[str, str]) -> Reading:
    """Rows as read by the reader of ASVspoof 2017, with names of the attacks and the language of each speaker."""
    rows, rejected = asvspoof2017.read(data_dir, parts)
    for row in rows:
        row["attack_name"] = attack_names.get(row["attack"], "")
        row["language"] = [*row["speaker"].split("_"), ""][1]
    return rows, rejected


def voice_for(language: str, voices: Sequence[tuple], number: int) -> tuple:
    """The next voice of a language among ``(voice, …)``; the next of all if none has it."""
    same = [voice for voice in voices if voice[0].language == language]
    return (same or voices)[number % len(same or voices)]


def on_all_cores(function: Callable, items: Sequence, *, what: str, unit: str = "clip") -> Iterable:
    """Results in the order of the items, from all cores, with progress."""
    size = parallel.cores()
    results = parallel.in_order(parallel.workers(size), function, items, ahead=AHEAD * size)
    return track(results, total=len(items), what=what, unit=unit)
