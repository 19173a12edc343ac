"""Dev trials of a model folder: what chose checkpoint, calibration and thresholds, kept with the model.

Promotion compares models on them, and operating points of other rates are found on them.
"""

from collections.abc import Collection
from pathlib import Path

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import ConfigError

FILE = "dev.parquet"
COLUMNS = ("utterance_id", "label", "speaker", "attack", "corpus", "logit", "score", "duration_s", "speech_s")
"""Texts, then the mean logit of the windows that count, the calibrated score, and seconds."""
FORMER_FILE = "dev_scores.csv"
"""Holds utterance, label, speaker and score only."""


def read(folder: Path, names: Collection[str]) -> "pd.DataFrame | None":  # noqa: F821
    """Dev trials of a folder of these files, columns ``COLUMNS``, one row per trial; ``None`` if there are none.

    Raises ``ConfigError`` without pyarrow (156 MB), which the environment of a registered model lacks.
    """
    import pandas as pd

    try:
        return pd.read_parquet(folder / FILE) if FILE in names else None
    except ImportError:
        raise ConfigError(
            f"{folder / FILE}: reading it needs pyarrow, which is not installed here; take an operating point that the "
            "model holds, or `pip install pyarrow`"
        ) from None


def read_former(folder: Path, names: Collection[str]) -> "pd.DataFrame | None":  # noqa: F821
    """Dev trials of ``FORMER_FILE``; ``None`` if there are none."""
    import pandas as pd

    if FORMER_FILE not in names:
        return None
    kinds = {"utterance_id": str, "label": str, "speaker": str, "score": float}
    return pd.read_csv(folder / FORMER_FILE, dtype=kinds, keep_default_na=False, float_precision="round_trip")


def of(
    store: "Store",  # noqa: F821
    rows: "np.ndarray",  # noqa: F821
    logits: "np.ndarray",  # noqa: F821
    scores: "np.ndarray",  # noqa: F821
) -> "pd.DataFrame":  # noqa: F821
    """Store rows with their logits and calibrated scores, ``[rows]`` each; columns ``COLUMNS``."""
    texts = ["utterance_id", "label", "speaker", "attack", "corpus"]
    lengths = store.lengths()[rows]
    spoken = [float(store.speech(row).seconds(0, length)) for row, length in zip(rows, lengths, strict=True)]
    found = store.manifest.iloc[rows][texts].reset_index(drop=True)
    return found.assign(logit=logits, score=scores, duration_s=lengths / SAMPLE_RATE_HZ, speech_s=spoken)


def write(path: Path, trials: "pd.DataFrame") -> None:  # noqa: F821
    """Write dev trials, columns ``COLUMNS``."""
    trials[list(COLUMNS)].to_parquet(path, index=False, compression="zstd")
