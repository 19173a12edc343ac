"""Notes on a recording that was decoded although something about it is odd.

A fault ends in ``AudioError`` and no score; a note stands beside the score.
"""

from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """Kinds of ``Note``."""

    TRUNCATED = "truncated"
    """The file holds less than its header promises."""


@dataclass(frozen=True)
class Note:
    """One remark on a recording; its text is ``kind: detail``."""

    kind: NoteKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
