"""Objectives of a search: figures of merit on dev, and the time that scoring takes. Eval is never used."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.audio import windows
from pipeline.config import Config
from pipeline.scoring import runtimes
from pipeline.training.checkpoint import Progress

TIE_BREAK = 1e-6
"""Weight of Cllr beside the EER: it decides between equal EERs and changes no EER by more than about a millionth."""
TIMED_CALLS = 20
LATENCY = "latency_ms"


@dataclass(frozen=True)
class Objective:
    """Metric of an objective, the direction in which it is better, its name in figures, whether it is shown in %."""

    metric: str
    direction: str
    title: str
    percent: bool = False


OBJECTIVES = {
    "eer": Objective("dev/eer", "minimize", "dev EER", percent=True),
    "min_dcf": Objective("dev/min_dcf", "minimize", "dev minDCF"),
    "cllr": Objective("dev/cllr", "minimize", "dev Cllr"),
    "auc": Objective("dev/auc", "maximize", "dev AUC"),
    "loss": Objective("dev/loss", "minimize", "dev loss"),
    "latency": Objective(LATENCY, "minimize", "latency (ms/s)"),
}


def kept(progress: Progress, keep: str) -> dict[str, float]:
    """Metrics on dev of the epoch whose weights training would keep if it ended here."""
    row = progress.history[progress.best_epoch if keep == "best" else -1]
    return {name: value for name, value in row.items() if name.startswith("dev/")}


def values(objectives: Sequence[str], metrics: Mapping[str, float]) -> list[float]:
    """Values that the study compares, from metrics by name."""
    found = [metrics[OBJECTIVES[name].metric] for name in objectives]
    return [v + TIE_BREAK * metrics["dev/cllr"] if n == "eer" else v for n, v in zip(objectives, found, strict=True)]


def latency_ms(config: Config) -> float:
    """Median time in ms of the exported network per second of audio; it does not depend on the weights."""
    from pipeline.network import formats, networks

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        formats.litert(networks.build(config), path)
        network = runtimes.of(path, 1)
    window = 0.1 * np.random.default_rng(0).standard_normal((1, config.window.clip_samples)).astype(np.float32)
    spent_s = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        network(window)
        spent_s.append(time.perf_counter() - started)
    # Where only the first window counts, segments are sought in overlapping ones.
    hop = windows.HOPS.get(config.window.windows, windows.HOPS["overlapping"])
    return 1000 * statistics.median(spent_s) / (hop * config.window.clip_s)
