"""Errors that this project raises on purpose: each names the thing, the value seen and the remedy.

Commands print them without a traceback and exit with status 2 (see ``cli.run``). Any other error is a bug and keeps its
traceback.
"""

import re
from enum import StrEnum


class ProjectError(Exception):
    """Base of every error that a user can fix."""


class ConfigError(ProjectError):
    """An option, preset or configuration file holds a value that is not allowed."""


class CorpusError(ProjectError):
    """A corpus on disk is not laid out, or labelled, as its reader requires."""


class AudioFault(StrEnum):
    """Kinds of ``AudioError``."""

    AMBIGUOUS = "ambiguous"
    EMPTY = "empty"
    LATE = "late"
    NOT_FINITE = "not finite"
    REFUSED = "refused"
    SILENT = "silent"
    TOO_LARGE = "too large"
    TOO_LONG = "too long"
    TOO_SHORT = "too short"
    UNEXPECTED = "unexpected error"
    UNREADABLE = "unreadable"


class AudioError(ProjectError):
    """One recording cannot be decoded or is refused; its text, ``kind: detail``, is the reason listed for it.

    ``name`` stands before the text if the reader cannot know which recording is meant.
    """

    def __init__(self, kind: AudioFault, detail: str, name: str = ""):
        super().__init__(kind, detail, name)
        self.kind, self.detail, self.name = kind, detail, name

    @classmethod
    def of(cls, error: Exception) -> "AudioError":
        """The error itself, or for one of another class an ``AudioError`` with its type and message.

        Names of folders are cut from the message: servers pass it on.
        """
        if isinstance(error, cls):
            return error
        message = re.sub(r"/\S*/", "", " ".join(str(getattr(error, "strerror", "") or error).split()))
        return cls(AudioFault.UNEXPECTED, f"{type(error).__name__}: {message}")

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}: {self.detail}" if self.name else f"{self.kind}: {self.detail}"


class StoreError(ProjectError):
    """A Store is missing, incomplete or damaged."""


class ModelFolderError(ProjectError):
    """A model folder is missing, incomplete or damaged."""


class TrackingError(ProjectError):
    """The tracking server does not answer, or its address or experiment is wrong."""


class ServerError(ProjectError):
    """A scoring server does not answer, stays busy, or is none."""


class DownloadError(ProjectError):
    """A file cannot be fetched, differs from what its publisher states, or cannot be unpacked safely."""


class EncoderError(ProjectError):
    """The folder of a pretrained encoder is missing or damaged, or its weights do not fit its configuration."""
