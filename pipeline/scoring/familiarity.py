"""Familiarity of a recording: whether a model has met anything like it, by the network's embeddings.

A Gaussian with a shrunk covariance (Ledoit & Wolf 2004) is fitted to embeddings of the train subset. The familiarity of
a recording is the share of dev that lies further from its mean, by Mahalanobis distance (Lee et al. 2018,
arXiv:1807.03888). Dev took no part in the fit, so its distances are those of new recordings.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

FILE = "familiarity.npz"
DRAWN = 2000
"""Most trials of the train subset that the fit takes, drawn at random."""
RESOLUTION = 1e-4
"""Least variance of a direction, as a share of the mean one; half precision holds the whitening down to it."""


@dataclass(frozen=True)
class Usual:
    """What is usual for a model.

    ``mean`` ``[units]`` and ``whitening`` ``[units, units]`` turn embeddings into ones whose directions vary alike;
    ``dev_distances`` ``[trials]`` are those of the dev trials.
    """

    mean: np.ndarray
    whitening: np.ndarray
    dev_distances: np.ndarray

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """Mahalanobis distances of embeddings ``[..., units]`` up to a constant factor, ``[...]`` float64."""
        return np.linalg.norm((np.asarray(embeddings, np.float64) - self.mean) @ self.whitening, axis=-1)

    def familiarity(self, embedding: np.ndarray) -> float:
        """Share of dev that lies further out than an embedding ``[units]``: 1 is ordinary, 0.01 stranger than 99 %.

        By the rule of the rank, (further + 1) / (trials + 1): n trials resolve no less than 1 / (n + 1).
        """
        nearer = np.searchsorted(self._sorted, self.distances(embedding), side="right")
        return float((len(self._sorted) - nearer + 1) / (len(self._sorted) + 1))

    @cached_property
    def of_dev(self) -> np.ndarray:
        """Familiarity of the dev trials ``[trials]`` by the same rule, each among the others."""
        nearer = np.searchsorted(self._sorted, self.dev_distances.astype(np.float64), side="right")
        return (len(self._sorted) - nearer + 1) / (len(self._sorted) + 1)

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(self.dev_distances.astype(np.float64))

    def save(self, path: Path) -> None:
        """Write to a file, in half precision where that suffices."""
        np.savez_compressed(
            path,
            mean=self.mean.astype(np.float32),
            whitening=self.whitening.astype(np.float16),
            dev_distances=self.dev_distances.astype(np.float32),
        )

    @classmethod
    def load(cls, path: Path) -> "Usual":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as saved:
            return cls(*(saved[name].astype(np.float64) for name in ("mean", "whitening", "dev_distances")))


def fit(train: np.ndarray, dev: np.ndarray) -> Usual:
    """Fit to embeddings of train, and measure those of dev, ``[trials, units]`` each."""
    mean, whitening = gaussian(np.asarray(train, np.float64))
    # Rounded as the file rounds them, so the distances of dev are those that scoring finds.
    rounded = Usual(mean.astype(np.float32), whitening.astype(np.float16).astype(np.float64), np.zeros(0))
    return Usual(rounded.mean, rounded.whitening, rounded.distances(dev))


def gaussian(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``[units]`` and whitening ``[units, units]`` of embeddings ``[trials, units]``; keeps the mean variance."""
    mean = train.mean(axis=0)
    centred = train - mean
    covariance = centred.T @ centred / len(train)  # (units, units)
    scale = np.trace(covariance) / len(covariance)
    spread = np.square(covariance - scale * np.eye(len(covariance))).sum()
    noise = (np.square(np.square(centred).sum(axis=1)).sum() / len(train) - np.square(covariance).sum()) / len(train)
    share = min(1.0, max(0.0, noise / spread)) if spread else 1.0
    shrunk = (1 - share) * covariance + share * scale * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(shrunk)
    return mean, vectors * np.sqrt(scale / np.maximum(values, RESOLUTION * scale or 1.0))
