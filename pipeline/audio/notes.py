"""Notes on a recording that was decoded although something about it is odd.

A fault ends in ``AudioError`` and no score; a note stands beside the score.
"""

from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """Kinds of ``Note``."""

    TRUNCATED = "truncated"
    """The file holds less than its header promises."""
    UNFINISHED = "unfinished"
    """The header promises nothing, as a recorder leaves it that was killed."""
    TRACKS = "tracks"
    """The file has several audio tracks."""
    CANCELLING = "cancelling"
    """The channels cancel each other, so that the loudest is taken in place of their average."""
    CALL = "call"
    """Each of the two channels holds one party of a conversation."""
    SCALED = "scaled"
    """The samples were in the range of int16 rather than −1…1."""


@dataclass(frozen=True)
class Note:
    """One remark on a recording; its text is ``kind: detail``."""

    kind: NoteKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
