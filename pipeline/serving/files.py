"""Files that a remote caller may name: those under one folder, and nothing else, however the name is dressed up."""

import os
import stat
from pathlib import Path

from pipeline.errors import AudioError, AudioFault


class ServedFiles:
    """The files under ``root``; ``None`` serves none."""

    def __init__(self, root: Path | None):
        self._root = Path(os.path.realpath(root)) if root else None

    def find(self, name: str) -> Path:
        """The regular file of a name, absolute or relative to the folder; raises ``AudioError`` for any other.

        Links count as what they lead to. Of what lies outside the folder the error says nothing, not even whether it
        is there.
        """
        if self._root is None:
            raise AudioError(
                AudioFault.REFUSED, "this server reads no files; send the recording itself in the column audio"
            )
        try:
            path = Path(os.path.realpath(self._root / name))
        except (ValueError, OSError):
            raise AudioError(AudioFault.REFUSED, "the path is no file name") from None
        if not path.is_relative_to(self._root):
            raise AudioError(AudioFault.REFUSED, "the path leads out of the folder that this server reads")
        try:
            kind = path.stat().st_mode
        except OSError as error:
            raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None
        # Opening a pipe would wait for its other end, and a device has none.
        if not stat.S_ISREG(kind):
            raise AudioError(AudioFault.REFUSED, "the path is not a regular file")
        return path
