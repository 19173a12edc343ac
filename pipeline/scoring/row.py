"""The row of a recording or of one of its windows: the same columns in files, in answers of servers and on the page."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Result of one recording, or of one window of it.

    ``speech_s`` is the speech between ``start_s`` and ``end_s``; ``duration_s`` and ``latency_ms`` are those of the
    whole recording. ``score`` is a calibrated log-likelihood ratio, higher = bonafide; ``spoof_probability`` holds at
    the prior of the operating point. A recording that cannot be scored has an ``error`` and neither score nor label.
    ``worst_score`` is that of the worst spoofed segment, or without one of the lowest window with speech, and
    ``worst_start_s`` to ``worst_end_s`` its place; rows of windows have none. ``note`` holds what is odd about a scored
    recording, see ``audio.Note``; normally empty. ``familiarity`` is the share of dev that is stranger to the model,
    from 1 for what is ordinary; models without statistics give none. ``attack`` is the one that made a ``spoof``
    (``source_tracing.UNKNOWN`` for none that the model knows) and ``attack_probability`` its probability among those it
    knows; models that only detect spoof give neither.
    """

    source: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    speech_s: float | None = None
    score: float | None = None
    spoof_probability: float | None = None
    label: str = ""
    model_version: str = ""
    latency_ms: float | None = None
    error: str = ""
    note: str = ""
    worst_score: float | None = None
    worst_start_s: float | None = None
    worst_end_s: float | None = None
    familiarity: float | None = None
    attack: str = ""
    attack_probability: float | None = None

    def later(self, seconds: float) -> "Row":
        """The row with its times counted from so many seconds before."""
        times = {name: getattr(self, name) for name in ("start_s", "end_s", "worst_start_s", "worst_end_s")}
        moved = {name: time + seconds for name, time in times.items() if time is not None}
        return dataclasses.replace(self, **moved) if seconds else self


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
"""Columns of every table of rows."""
