"""The errors this project raises on purpose: each names the thing, the value seen and the remedy.

Commands print them without a traceback and exit with status 2 (see ``cli.run``); everything else is a bug and keeps
its traceback.
"""


class ProjectError(Exception):
    """Base of every error that a user can mend."""


class ConfigError(ProjectError):
    """An option, preset or configuration file holds a value that is not allowed."""


class CorpusError(ProjectError):
    """A corpus on disk is not laid out, or labelled, as its reader requires."""


class AudioError(ProjectError):
    """One recording cannot be decoded or is refused; the message is the reason listed for it."""


class StoreError(ProjectError):
    """A Store is missing, incomplete or damaged."""


class ModelFolderError(ProjectError):
    """A model folder is missing, incomplete or damaged."""


class TrackingError(ProjectError):
    """The tracking server does not answer."""


class DownloadError(ProjectError):
    """A file cannot be fetched, is not what its publisher stated, or cannot be unpacked safely."""
