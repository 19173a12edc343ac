"""Rows of scores outside the program: as a table for people, and as CSV, JSON lines or Parquet."""

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.detector import Row
from pipeline.errors import ConfigError

COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
FORMATS = (".csv", ".jsonl", ".parquet")
SOURCE_WIDTH = 44


def check_output(path: Path) -> None:
    """Raise ``ConfigError`` for a file that ``write`` could not write; its folder is made."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"--output {path}: name a file that ends in {', '.join(FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write every row with all columns; the format follows the suffix. What is unknown is left empty (or null)."""
    values = [dataclasses.asdict(row) for row in rows]
    unfinished = path.with_name(path.name + ".part")
    if path.suffix == ".parquet":
        import pandas as pd

        pd.DataFrame(values, columns=COLUMNS).to_parquet(unfinished, index=False)
    elif path.suffix == ".jsonl":
        unfinished.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    else:
        with unfinished.open("w", newline="", encoding="utf-8", errors="replace") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(values)
    unfinished.replace(path)


def heading() -> str:
    """Titles of the columns that ``line`` prints."""
    return f"{'file':<{SOURCE_WIDTH}}  {'label':<9} {'score':>7} {'P(spoof)':>9} {'speech':>8} {'length':>8}"


def line(row: Row) -> str:
    """A row for people: its end when the name is long, and the error in place of the figures."""
    name = row.source if len(row.source) <= SOURCE_WIDTH else "…" + row.source[-SOURCE_WIDTH + 1 :]
    if row.error:
        return f"{name:<{SOURCE_WIDTH}}  error     {row.error}"
    return (
        f"{name:<{SOURCE_WIDTH}}  {row.label:<9} {row.score:>+7.2f} {row.spoof_probability:>9.3f} "
        f"{row.speech_s:>6.1f} s {row.duration_s:>6.1f} s"
    )
