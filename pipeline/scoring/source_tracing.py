"""Source tracing: which known attack made a spoof, by the network's embedding.

``train --target attack`` learns a softmax over the attacks of train on the embedding, beside the logit. An embedding
that lies far from all of them is ``UNKNOWN``: by Mahalanobis distance to the nearest mean of an attack, with one
covariance for all (Lee et al. 2018, arXiv:1807.03888).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.scoring import familiarity

FILE = "attacks.npz"
UNKNOWN = "unknown"
REACHED = 0.95
"""Share of dev's spoofs by known attacks that lie within the limit of the distance."""


@dataclass(frozen=True)
class KnownAttacks:
    """Attacks that a model tells apart.

    ``kernel`` ``[units, attacks]`` and ``bias`` ``[attacks]`` turn embeddings into logits. ``means``
    ``[attacks, units]`` are those of train, ``whitening`` ``[units, units]`` makes its directions vary alike, and
    beyond ``limit`` an embedding is of no known attack.
    """

    names: tuple[str, ...]
    kernel: np.ndarray
    bias: np.ndarray
    means: np.ndarray
    whitening: np.ndarray
    limit: float

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """Distances of embeddings ``[trials, units]`` to the nearest mean, ``[trials]``."""
        to_each = np.asarray(embeddings, np.float64)[:, None] - self.means  # (trials, attacks, units)
        return np.linalg.norm(to_each @ self.whitening, axis=-1).min(axis=1)

    def trace(self, embedding: np.ndarray) -> tuple[str, float | None]:
        """Attack that made a spoof with this embedding ``[units]`` and its probability; ``UNKNOWN`` has none."""
        if self.distances(embedding[None])[0] > self.limit:
            return UNKNOWN, None
        logits = np.asarray(embedding, np.float64) @ self.kernel + self.bias
        likely = int(logits.argmax())
        return self.names[likely], float(1 / np.exp(logits - logits[likely]).sum())

    def save(self, path: Path) -> None:
        """Write to a file."""
        np.savez_compressed(path, **{**vars(self), "names": np.array(self.names)})

    @classmethod
    def load(cls, path: Path) -> "KnownAttacks":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as saved:
            values = {name: saved[name] for name in saved.files}
        return cls(**values | {"names": tuple(values["names"].tolist()), "limit": float(values["limit"])})


def fit(
    names: Sequence[str],
    kernel: np.ndarray,
    bias: np.ndarray,
    train: Sequence[np.ndarray],
    dev: np.ndarray,
) -> KnownAttacks:
    """Known attacks by name and the weights of their softmax.

    Parameters
    ----------
    train : embeddings of train's spoofs by each attack, ``[trials, units]`` each.
    dev : those of dev's spoofs by any of them, ``[trials, units]``; they set the limit.
    """
    means = np.stack([own.mean(axis=0, dtype=np.float64) for own in train])
    _, whitening = familiarity.gaussian(np.concatenate([own - mean for own, mean in zip(train, means, strict=True)]))
    arrays = (np.asarray(values, np.float32) for values in (kernel, bias, means, whitening))
    made = KnownAttacks(tuple(names), *arrays, limit=np.inf)
    return KnownAttacks(**{**vars(made), "limit": float(np.quantile(made.distances(dev), REACHED))})
