"""Files that a remote caller may name: only those under one folder, in whatever way the name is written."""

import os
import stat
from pathlib import Path

from pipeline.errors import AudioError, AudioFault


class ServedFiles:
    """Files under ``root``; ``None`` serves none."""

    def __init__(self, root: Path | None):
        self._root = Path(os.path.realpath(root)) if root else None

    def find(self, name: str) -> Path:
        """Regular file by its name, absolute or relative to the folder; raises ``AudioError`` for any other.

        Links are resolved. The error for a path outside the folder does not reveal whether the file exists.
        """
        if self._root is None:
            raise AudioError(
                AudioFault.REFUSED,
                "this server reads no files (SPOOF_SERVE_ROOT); send the recording itself in the column audio",
            )
        try:
            path = Path(os.path.realpath(self._root / name))
        except (ValueError, OSError):
            raise AudioError(AudioFault.REFUSED, "the path is not a file name") from None
        if not path.is_relative_to(self._root):
            raise AudioError(AudioFault.REFUSED, "the path is outside the folder that this server reads")
        try:
            kind = path.stat().st_mode
        except OSError as error:
            raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None
        # Opening a pipe would wait for its other end, and a device has none.
        if not stat.S_ISREG(kind):
            raise AudioError(AudioFault.REFUSED, "the path is not a regular file")
        return path
