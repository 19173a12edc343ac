"""JSON files that hold their own checksum: the indexes of Stores and model folders, in which one flipped bit of a
threshold would otherwise be a wrong answer.

It finds damage, not malice: whoever can write the file can write its checksum too.
"""

import hashlib
import json
from pathlib import Path

SEAL = "checksum"
"""The key that holds the checksum of all the others."""


class BrokenSealError(ValueError):
    """The file is not what was written."""


def write(path: Path, values: dict[str, object]) -> None:
    """Write values to ``path`` under their checksum; the file appears whole or not at all."""
    kept = {name: value for name, value in values.items() if name != SEAL}
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(kept | {SEAL: _checksum(kept)}, indent=1), encoding="utf-8")
    unfinished.replace(path)


def read(path: Path) -> dict[str, object]:
    """The values of a file; raises ``BrokenSealError`` where they are not those that were written.

    What was written without a checksum is read as it is, so callers say by a format of theirs who must have one.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise BrokenSealError(f"it holds {type(values).__name__} in place of names and values")
    if SEAL in values and values[SEAL] != _checksum({n: v for n, v in values.items() if n != SEAL}):
        raise BrokenSealError("its checksum is not that of its contents, so it is damaged or was changed")
    return values


def _checksum(values: dict[str, object]) -> str:
    """SHA-256 of the values, however they are laid out."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
