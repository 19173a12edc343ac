"""File systems of a few hundred kilobytes that fill up and can be made larger, or take nothing: for root alone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """A mounted file system in memory."""

    def __init__(self, folder: Path):
        self.folder = folder

    def remount(self, options: str) -> None:
        """Change it: ``size=64m``, ``ro``, ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True, capture_output=True)

    def fill(self) -> Path:
        """A file that takes all that is left."""
        path = self.folder / "filling"
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return path


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[SmallDisk | None]:
    """A small disk at ``folder`` for the block; ``None`` where this user may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
