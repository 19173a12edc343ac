"""Logits and embeddings of Store rows by a network in training: the mean over the windows of each."""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np

from pipeline.config import Config
from pipeline.scoring.runtimes import EMBEDDING, LOGIT, Outputs
from pipeline.store.store import Store
from pipeline.training import batches
from pipeline.training.data import Data

MIN_SCORED_S = 64.0
"""Least seconds of audio per batch when scoring: training batches are small, and slow to score."""

Scorer = Callable[[np.ndarray, Config], np.ndarray]
"""Store rows ``[rows]`` and a configuration, whose windows count, to the logit of each row, ``[rows]`` float64."""


def scorer(model: keras.Model, data: Data, config: Config) -> Scorer:
    """Return the scorer by a whole network."""
    return partial(utterance_logits, model, data.store)


def dev_windows(config: Config) -> Config:
    """Configuration of the scores of dev after each epoch: others would take up to twice as long."""
    return config.replace(windows="first" if config.window.windows == "first" else "consecutive")


def utterance_logits(model: keras.Model, store: Store, rows: np.ndarray, config: Config) -> np.ndarray:
    """Logit of each row by a whole network, ``[rows]`` float64."""
    return utterance_outputs(model, store, rows, config)[0]


def utterance_outputs(model: keras.Model, store: Store, rows: np.ndarray, config: Config) -> Outputs:
    """Logit and mean embedding of each row by a whole network with one output, or by ``networks.with_embedding``."""
    chosen, owner = batches.all_windows(store, rows, config)
    batch_size = max(config.train.batch_size, round(MIN_SCORED_S / config.window.clip_s))
    unlabelled = np.zeros(len(store), dtype=bool)
    windows = batches.dataset(store, chosen, unlabelled, config.replace(batch_size=batch_size))
    found = model.predict(windows, verbose=0)
    if not isinstance(found, dict):
        return mean(found, owner), None
    embeddings = [mean(values[:, None], owner) for values in found[EMBEDDING].T]  # (rows,) for each unit
    return mean(found[LOGIT], owner), np.stack(embeddings, axis=1)


def mean(logits: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Mean of the windows' logits ``[windows, 1]`` over those of each row, ``[rows]`` float64."""
    return np.bincount(owner, weights=logits.astype(np.float64)[:, 0]) / np.bincount(owner)
