"""File of rows that grows while recordings are scored, and resumes after a kill.

Each row is appended at once, as a JSON line, to a journal beside the file. The complete journal is converted to the
file. A note beside it names the model and threshold of the rows; only a run with the same ones resumes.
"""

import csv
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.common import files
from pipeline.errors import ConfigError
from pipeline.scoring.row import COLUMNS, Row

FORMATS = (".csv", ".jsonl", ".parquet", ".tsv")
"""The last holds names and scores only, as ASVspoof 5 takes them."""
PARQUET_ROWS = 50_000
"""Rows in memory at once while a Parquet file is written."""


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Score and label of a row in the file."""

    score: float | None
    label: str


class RowFile:
    """Context that writes rows to a file ending in one of ``FORMATS``.

    Parameters
    ----------
    path : the file; its folder is made. The journal is ``<path>.part``.
    made_with : values that the rows depend on. Rows of a run with the same values are kept, others are discarded.
    sources : recordings of this run. The file gets no row of another, which a stopped run may have left in the journal.

    Raises ``ConfigError`` for another suffix, for a folder, for two recordings that a score file cannot tell apart, and
    if another process is writing the file. ``done`` holds the rows of this run by source; leaving the context without
    ``finish`` keeps the journal for the next run.
    """

    def __init__(self, path: Path, made_with: dict[str, object], sources: Iterable[str]):
        if path.suffix not in FORMATS:
            raise ConfigError(f"--output {path}: name a file that ends in {', '.join(FORMATS)}")
        if path.is_dir():
            raise ConfigError(f"--output {path}: a folder of that name exists; name a file")
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".part.json")
        self._made_with = json.dumps(made_with, sort_keys=True)
        self._sources = set(map(_name, sources))
        if path.suffix == ".tsv":
            _check_stems(path, self._sources)
        self.done: dict[str, Done] = {}

    def __enter__(self) -> "RowFile":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self._note.open("a+", encoding="utf-8")
        try:
            files.lock(self._lock, ConfigError(f"--output {self.path}: another process is writing this file"))
        except ConfigError:
            self._lock.close()
            raise
        self._lock.seek(0)
        if self._part.is_file() and self._lock.read() == self._made_with:
            self._keep_whole_rows()
        else:
            self._part.unlink(missing_ok=True)
            self._lock.truncate(0)
            self._lock.write(self._made_with)
            self._lock.flush()
        self._file = self._part.open("a", encoding="utf-8")
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._lock.close()

    def __contains__(self, source: str) -> bool:
        """Whether the file has the row of a source."""
        return _name(source) in self.done

    def add(self, row: Row) -> None:
        """Write a row."""
        self._file.write(json.dumps(dataclasses.asdict(row)) + "\n")
        self._file.flush()
        self.done[_name(row.source)] = Done(row.score, row.label)

    def done_with(self, source: str) -> Done:
        """Score and label of the row of a source."""
        return self.done[_name(source)]

    def finish(self) -> None:
        """Convert the rows of this run to the file."""
        self._file.flush()
        converted = self.path.with_name(self.path.name + ".whole")
        with self._part.open(encoding="utf-8") as lines:
            _CONVERSIONS[self.path.suffix](self._rows_of(lines), converted)
        converted.replace(self.path)
        self._part.unlink()
        self._note.unlink()

    def _rows_of(self, lines: Iterable[str]) -> Iterator[dict]:
        return (row for row in map(json.loads, lines) if _name(row["source"]) in self._sources)

    def _keep_whole_rows(self) -> None:
        """Read the complete rows, and cut off a row that a kill interrupted."""
        end = 0
        with self._part.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                for row in self._rows_of([line]):
                    self.done[_name(row["source"])] = Done(row["score"], row["label"])
        with self._part.open("r+b") as file:
            file.truncate(end)


def _name(source: str) -> str:
    """Source in a form that can be written; names of files need not be Unicode."""
    return source.encode("utf-8", "backslashreplace").decode()


def _stem(source: str) -> str:
    """Name of a recording in a score file: without folder and suffix, on one line."""
    return " ".join(Path(source).stem.split())


def _check_stems(path: Path, sources: Iterable[str]) -> None:
    found: dict[str, str] = {}
    for source in sources:
        if (other := found.setdefault(_stem(source), source)) != source:
            raise ConfigError(
                f"--output {path}: {' and '.join(sorted((other, source)))} have one name in a score file; .csv, .jsonl "
                "and .parquet hold whole paths"
            )


def _write_lines(rows: Iterator[dict], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _write_csv(rows: Iterator[dict], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "source": _name(row["source"])} for row in rows)


def _write_parquet(rows: Iterator[dict], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {field.name: pa.string() if field.type is str else pa.float64() for field in dataclasses.fields(Row)}
    schema = pa.schema(list(kinds.items()))
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := [{**row, "source": _name(row["source"])} for row in itertools.islice(rows, PARQUET_ROWS)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _write_scores(rows: Iterator[dict], path: Path) -> None:
    """Score file of ASVspoof 5: name without folder and suffix, and score, of each recording that has one."""
    unscored = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("filename\tcm-score\n")
        for row in rows:
            if row["score"] is None:
                unscored += 1
            else:
                file.write(f"{_stem(_name(row['source']))}\t{row['score']!r}\n")
    if unscored:
        print(f"{path}: {unscored} recordings without a score are left out", file=sys.stderr)


_CONVERSIONS = {".csv": _write_csv, ".jsonl": _write_lines, ".parquet": _write_parquet, ".tsv": _write_scores}
"""Writer of each format."""
