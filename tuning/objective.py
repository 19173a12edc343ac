"""What a search makes small or large: figures of merit on dev, and how long scoring takes. Eval is never looked at."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.training.checkpoint import Progress

TIE_BREAK = 1e-6
"""Weight of Cllr beside the EER: it decides between equal EERs, and moves no EER by more than a millionth or so."""
TIMED_CALLS = 20
LATENCY = "latency_ms"


@dataclass(frozen=True)
class Objective:
    """A name on the command line, the metric behind it, which way is better, and its name in figures."""

    metric: str
    direction: str
    title: str


OBJECTIVES = {
    "eer": Objective("dev/eer", "minimize", "dev EER"),
    "min_dcf": Objective("dev/min_dcf", "minimize", "dev minDCF"),
    "cllr": Objective("dev/cllr", "minimize", "dev Cllr"),
    "auc": Objective("dev/auc", "maximize", "dev AUC"),
    "loss": Objective("dev/loss", "minimize", "dev loss"),
    "latency": Objective(LATENCY, "minimize", "latency (ms/s)"),
}


def names(text: str) -> tuple[str, ...]:
    """The objectives that ``--objective`` names; raises ``ConfigError`` for an unknown one."""
    chosen = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in chosen:
        if name not in OBJECTIVES:
            raise ConfigError(f"--objective {name!r}: choose among {', '.join(OBJECTIVES)}, comma separated")
    if chosen == ("latency",):
        raise ConfigError("--objective latency: give a figure of merit beside it, as in eer,latency")
    return chosen


def kept(progress: Progress, keep: str) -> dict[str, float]:
    """The metrics on dev of the epoch whose weights training would keep if it ended here."""
    row = progress.history[progress.best_epoch if keep == "best" else -1]
    return {name: value for name, value in row.items() if name.startswith("dev/")}


def values(objectives: Sequence[str], metrics: Mapping[str, float]) -> list[float]:
    """What the study compares, from metrics by name."""
    found = [metrics[OBJECTIVES[name].metric] for name in objectives]
    return [v + TIE_BREAK * metrics["dev/cllr"] if n == "eer" else v for n, v in zip(objectives, found, strict=True)]


def latency_ms(config: Config) -> float:
    """Median time in ms that the exported network takes for a second of sound; it does not depend on the weights."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from pipeline.network import formats, networks

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        formats.litert(networks.build(config), path)
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).standard_normal(place["shape"]).astype(np.float32)
    spent_s = []
    for _ in range(TIMED_CALLS):
        interpreter.set_tensor(place["index"], 0.1 * noise)
        started = time.perf_counter()
        interpreter.invoke()
        spent_s.append(time.perf_counter() - started)
    windows_a_second = 2 / config.window.clip_s  # the detector's windows overlap by half
    return 1000 * statistics.median(spent_s) * windows_a_second
