"""Tables of recordings as text (CSV, TSV, Parquet), and the words for the two classes in them."""

from pathlib import Path

import pandas as pd

from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
LABEL_WORDS = {"bonafide": BONAFIDE, "genuine": BONAFIDE, "real": BONAFIDE, "spoof": SPOOF, "fake": SPOOF}
"""Words for a class, in a table's column ``label`` and as names of folders."""


def load(path: Path) -> pd.DataFrame:
    """Read a table as text, with missing values as ""; raises ``CorpusError`` if it cannot be read."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path).fillna("").astype(str)
        if suffix in SEPARATORS:
            return pd.read_csv(path, sep=SEPARATORS[suffix], dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read as a table: {error}") from None
    raise CorpusError(f"{path}: a table ends in .csv, .tsv or .parquet")
