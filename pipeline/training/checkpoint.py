"""State of a training on disk: one file, replaced atomically after every epoch.

The file holds all that the next epoch depends on (weights, optimiser, random state of the layers), the weights of the
best epoch so far, and the history. Plain arrays in an ``.npz``, no pickles.
"""

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from pipeline.common import files
from pipeline.errors import ProjectError


@dataclass
class Progress:
    """Progress of a training.

    ``history`` holds one dict per epoch (``train/loss``, ``dev/eer`` …); ``epoch`` counts the finished ones;
    ``best_epoch`` is the number, from 0, of the epoch with the best ``best_score`` (dev EER, then dev loss).
    """

    run_id: str
    epoch: int = 0
    best_epoch: int = -1
    best_score: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def save(path: Path, progress: Progress, variables: list[np.ndarray], best: list[np.ndarray]) -> None:
    """Write the state to ``path``; a kill at any moment leaves the old file or the new one, never a part of one."""
    arrays = {f"variable/{i:05d}": v for i, v in enumerate(variables)}
    arrays |= {f"best/{i:05d}": v for i, v in enumerate(best)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, progress=np.frombuffer(json.dumps(asdict(progress)).encode(), dtype=np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> tuple[Progress, list[np.ndarray], list[np.ndarray]] | None:
    """Load progress, variables and best weights; ``None`` if nothing was saved.

    Raises ``ProjectError`` if the file is damaged: it holds the CRC-32 of each array.
    """
    if not path.exists():
        return None
    with path.open("rb") as file:  # a file that cannot be opened is not damaged
        try:
            with np.load(file, allow_pickle=False) as saved:
                progress = Progress(**json.loads(saved["progress"].tobytes()))
                names = sorted(saved.files)
                variables = [saved[name] for name in names if name.startswith("variable/")]
                best = [saved[name] for name in names if name.startswith("best/")]
        except (ValueError, TypeError, KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile) as error:
            raise ProjectError(
                f"{path}: the state of this training is damaged ({error}); delete it to train from the beginning"
            ) from None
    return progress, variables, best
