"""Readers of corpora: each turns a folder on disk into a Manifest and a list of what it left out, and why."""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pandas as pd

from pipeline.config import CorpusConfig
from pipeline.errors import CorpusError
from pipeline.manifest import SUBSETS

READERS = {
    "asvspoof2017": "pipeline.corpora.asvspoof2017",
    "demo": "pipeline.corpora.demo",
    "folder": "pipeline.corpora.folder",
    "synthetic": "pipeline.corpora.synthetic",
    "table": "pipeline.corpora.table",
}
BUILT = ("demo", "synthetic")
"""Corpora that are made on the user's machine where no ``data_dir`` is given."""


@dataclass(frozen=True)
class Rejected:
    """A recording that is left out: its path, and the reason listed for it."""

    path: str
    reason: str


def read(config: CorpusConfig) -> tuple[pd.DataFrame, list[Rejected]]:
    """The Manifest of the configured corpus, and what its reader left out.

    Raises ``CorpusError`` for a folder that is missing or not laid out as the reader needs it.
    """
    reader = import_module(READERS[config.corpus])
    if config.data_dir:
        place = Path(config.data_dir).expanduser().resolve()
        if not place.exists():
            raise CorpusError(f"--data_dir {config.data_dir}: no such file or folder")
    elif config.corpus in BUILT:
        place = reader.ensure()
    else:
        raise CorpusError(f"corpus={config.corpus} needs --data_dir, the place of its recordings")
    parts = tuple(part.strip() for part in config.parts.split(",") if part.strip())
    unknown = [part for part in parts if part not in SUBSETS]
    if unknown:
        raise CorpusError(f"--parts {config.parts!r}: {unknown[0]!r} is none of {', '.join(SUBSETS)}")
    if parts == ("eval",):
        print(
            "warning: only the eval part is read, so what is trained on it compares with no published result",
            file=sys.stderr,
        )
    if ascii(str(place)).count("\\udc"):
        raise CorpusError(f"{str(place)!a}: the name of the folder is not UTF-8 text; rename it")
    try:
        return reader.read(place, parts or SUBSETS)
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise CorpusError(f"--data_dir {config.data_dir}: a list in it is not UTF-8 text ({found})") from None
