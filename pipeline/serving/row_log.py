"""Served rows as JSON lines, for ``pipeline.drift``: scores and what explains them, neither names nor audio."""

import datetime
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline.common import files
from pipeline.scoring.row import Row
from pipeline.serving import settings

COLUMNS = ("score", "label", "familiarity", "speech_s", "duration_s", "latency_ms", "model_version")
"""What is kept of a row, beside the time of its answer (``time``, UTC)."""


class RowLog:
    """File of scored rows, which several processes may share.

    Parameters
    ----------
    path : the file; raises ``ConfigError`` if it cannot be written.
    max_bytes : size from which the file is renamed to ``<name>.1``, in place of an older one.
    """

    def __init__(self, path: Path, max_bytes: float):
        self._path, self._max_bytes = path, max_bytes
        settings.check_log("rows", path)

    def add(self, rows: Iterable[Row]) -> None:
        """Append the rows that have a score; a full disk costs lines of the log and no answer."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        kept = [{"time": now} | {name: getattr(row, name, None) for name in COLUMNS} for row in rows if not row.error]
        try:
            files.append(self._path, "".join(json.dumps(row) + "\n" for row in kept), max_bytes=self._max_bytes)
        except OSError as error:
            print(f"{len(kept)} rows are missing in SPOOF_SERVE_ROWS: {error.strerror or error}", file=sys.stderr)
