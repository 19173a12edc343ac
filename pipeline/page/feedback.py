"""Answers of visitors: what a recording really is, as a table that ``--corpus table`` reads.

A line holds the answer, the score that the server gave, and the path of the recording: the name that the visitor's file
has, or with a folder for recordings the copy kept there under its SHA-256. A later answer to a recording counts in
place of an earlier one.
"""

import csv
import datetime
import hashlib
import io
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path, PurePosixPath

from fastapi import HTTPException

from pipeline.audio import SUFFIXES
from pipeline.common import files
from pipeline.common.tables import ANSWERS
from pipeline.errors import ConfigError

COLUMNS = ("path", "label", "answer", "answered_at", "score", "model_version")
REMEMBERED = 10_000
"""Most recordings whose rows wait for an answer; the oldest are forgotten."""
MAX_TABLE_MB = 100
LONGEST_NAME = 200


class Feedback:
    """Table of answers, and perhaps copies of the recordings.

    Parameters
    ----------
    table : CSV file to append to; raises ``ConfigError`` if it cannot be written.
    keep : folder for recordings that got an answer; ``None`` keeps none.
    keep_mb : most that the folder may hold, in MB.
    """

    def __init__(self, table: Path, keep: Path | None = None, keep_mb: float = 1000.0):
        self.table, self.keep, self.keep_mb = table, keep, keep_mb
        self._rows: OrderedDict[str, dict] = OrderedDict()
        self._lock = threading.Lock()
        try:
            files.append(table, "", header=",".join(COLUMNS) + "\n")
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--feedback {table}, --keep {keep}: {error.filename}: {error.strerror}") from None
        with table.open(encoding="utf-8-sig", newline="") as file:
            found = next(csv.reader(file), [])
        if tuple(found) != COLUMNS:
            raise ConfigError(
                f"--feedback {table}: its columns are {', '.join(found)} in place of {', '.join(COLUMNS)}; "
                "name another file"
            )

    def remember(self, recording: bytes, row: dict) -> str:
        """Key by which an answer names a scored recording: its SHA-256."""
        key = hashlib.sha256(recording).hexdigest()
        with self._lock:
            self._rows[key] = {name: row[name] for name in ("score", "model_version")}
            self._rows.move_to_end(key)
            while len(self._rows) > REMEMBERED:
                self._rows.popitem(last=False)
        return key

    def add(self, key: str, answer: str, name: str, recording: bytes) -> None:
        """Append an answer; raises ``HTTPException`` for one that is refused.

        ``name`` is that of the visitor's file; ``recording`` is needed only if recordings are kept.
        """
        if answer not in ANSWERS:
            raise HTTPException(422, f"answer {answer!r}: expected {', '.join(ANSWERS)}")
        with self._lock:
            if key not in self._rows:
                raise HTTPException(410, "the server has forgotten this recording; score it again")
            if self.table.stat().st_size > 1e6 * MAX_TABLE_MB:
                raise HTTPException(507, "the table of answers is full")
            path = self._kept(key, name, recording) if self.keep else plain_path(name)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(
                (path, ANSWERS[answer], answer, now, self._rows[key]["score"], self._rows[key]["model_version"])
            )
            files.append(self.table, line.getvalue(), header=",".join(COLUMNS) + "\n")

    def _kept(self, key: str, name: str, recording: bytes) -> str:
        """Copy of a recording, as a path relative to the table."""
        if hashlib.sha256(recording).hexdigest() != key:
            raise HTTPException(422, "this is not the recording that was scored")
        suffix = PurePosixPath(name).suffix.lower()
        path = self.keep / f"{key}{suffix if suffix in SUFFIXES else ''}"
        if not path.exists():
            used = sum(entry.stat().st_size for entry in os.scandir(self.keep))
            if used + len(recording) > 1e6 * self.keep_mb:
                raise HTTPException(507, "the folder for recordings is full; the answer was not stored")
            with files.whole_file(path, shared=True) as unfinished:
                unfinished.write_bytes(recording)
        return os.path.relpath(path, self.table.parent)


def plain_path(name: str) -> str:
    """Name of a visitor's file as a path: no folders, no line breaks, and nothing that a spreadsheet would run."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", re.split(r"[/\\]", name)[-1])[:LONGEST_NAME] or "recording"
    return f"./{plain}" if plain[0] in "=+-@ " else plain
