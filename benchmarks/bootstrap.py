"""``bootstrap``: intervals of the EER against a plain loop over ``sklearn.metrics.roc_curve``.

Both sides resample single trials, and the drawing is part of the time of both.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import compared
from benchmarks.compared import Figure, Line
from pipeline import cli
from pipeline.config import option
from pipeline.errors import ProjectError
from pipeline.metrics import bootstrap


@dataclass(frozen=True)
class Options(compared.Options):
    """Number of trials and resamples."""

    trials: int = option(20000, "trials, a tenth of them bonafide")
    resamples: int = option(1000, "resamples of an interval")


QUICK = {"trials": 400, "resamples": 50}


def plain_interval(scores: np.ndarray, labels: np.ndarray, resamples: int) -> tuple[float, float]:
    """Percentile interval of the EER by a loop."""
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(0)
    values = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(scores), len(scores))
        accepted, detected, _ = roc_curve(labels[drawn], scores[drawn])
        at = np.argmin(np.abs(1 - detected - accepted))
        values.append((1 - detected[at] + accepted[at]) / 2)
    return tuple(np.quantile(values, bootstrap.INTERVAL))


def measure(options: Options) -> Line:
    """Time both; raises ``ProjectError`` if the two intervals disagree."""
    rng = np.random.default_rng(0)
    labels = np.arange(options.trials) % 10 == 0
    scores = rng.normal(np.where(labels, 1.0, -1.0))
    found: dict[str, tuple[float, float]] = {}

    def ours() -> None:
        found["ours"] = bootstrap.eer_interval(scores, labels, resamples=options.resamples)

    def loop() -> None:
        found["loop"] = plain_interval(scores, labels, options.resamples)

    ours(), loop()  # import
    contenders = {"pipeline.metrics.bootstrap": ours, "a loop over sklearn.metrics.roc_curve": loop}
    taken = compared.alternate(contenders, repetitions=options.repetitions)
    first, second = taken.values()
    apart = np.abs(np.subtract(found["ours"], found["loop"])).max()
    width = np.diff(found["loop"])[0]
    if apart > width / 4:
        raise ProjectError(f"the intervals disagree by over a quarter of their width: {found}")
    note = f"{options.trials} trials × {options.resamples} resamples; the intervals differ by {100 * apart:.2f} points"
    figure = Figure("× the loop", compared.ratios(second, first), 10)
    return Line(
        "bootstrap", "bootstrap interval of the EER", "a loop over sklearn's roc_curve", [figure], taken, note=note
    )


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its line."""
    _, options = compared.parse(__doc__, Options, quick=QUICK, argv=argv)
    return compared.finish([measure(options)], options)


if __name__ == "__main__":
    cli.run(main)
