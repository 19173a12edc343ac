"""Rows of scores as a table for people; ``scoring.row_file`` writes them for programs."""

import dataclasses

from pipeline.scoring.detector import Row

COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
SOURCE_WIDTH = 44


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
