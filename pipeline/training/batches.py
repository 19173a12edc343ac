"""Training batches: the plan of an epoch (which window of which clip) and the tf.data pipeline that cuts it.

The plan is a pure function of the seed and the number of the epoch, so a run resumed after a kill sees the batches it
would have seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline import audio
from pipeline.audio import windows
from pipeline.config import Config
from pipeline.store.store import Store

Change = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """Windows in the order in which the network takes them: Store row and first sample of each, both ``[clips]``.

    ``ends`` ``[clips]`` is the sample from which on a recording is left out; by default none is.
    """

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray | None = None

    def first(self, clips: int) -> "Plan":
        """First clips of the plan."""
        return self.part(slice(clips))

    def batches(self, batch_size: int) -> Iterator["Plan"]:
        """Cut the plan into batches, the last one possibly smaller."""
        for first in range(0, len(self.rows), batch_size):
            yield self.part(slice(first, first + batch_size))

    def part(self, part: slice) -> "Plan":
        """Part of the plan."""
        return Plan(self.rows[part], self.starts[part], None if self.ends is None else self.ends[part])


def plan(
    rows: np.ndarray,
    bonafide: np.ndarray,
    samples: np.ndarray,
    config: Config,
    epoch: int,
    corpora: np.ndarray | None = None,
) -> Plan:
    """Plan one epoch: as many windows as there are clips.

    Parameters
    ----------
    rows : Store rows of the subset, ``[clips]``.
    bonafide : which of them are bonafide, ``[clips]`` bool.
    samples : length of each, ``[clips]``.
    epoch : number of the epoch; each has another order and other crops.
    corpora : corpus of each, ``[clips]`` of any type, for ``balance`` by corpus.
    """
    rng = np.random.default_rng([config.train.seed, epoch])
    by_corpus = config.train.balance == "corpus,label"
    chosen = order(bonafide, bool(config.train.balance), rng, corpora if by_corpus else None)
    starts = np.zeros(len(chosen), dtype=np.int64)
    if config.train.crop == "random":
        spare = np.maximum(samples[chosen] - config.window.clip_samples, 0)
        starts = rng.integers(0, spare + 1)
    return Plan(rows[chosen], starts)


def order(
    bonafide: np.ndarray, balance: bool, rng: np.random.Generator, corpora: np.ndarray | None = None
) -> np.ndarray:
    """Draw the order of an epoch, as many indexes as clips; ``bonafide`` ``[clips]`` bool.

    With ``balance`` bonafide and spoof take turns, and with ``corpora`` (``[clips]``) the corpora of each class too.
    Each goes through all its clips before it repeats one.
    """
    if not balance:
        return rng.permutation(len(bonafide))
    corpora = np.zeros(len(bonafide)) if corpora is None else corpora
    drawn = np.empty(len(bonafide), dtype=np.int64)
    for offset, own in enumerate((bonafide, ~bonafide)):
        groups = [np.flatnonzero(own & (corpora == corpus)) for corpus in np.unique(corpora[own])]
        places = np.arange(offset, len(drawn), 2)
        for turn, members in enumerate(groups):
            at = places[turn :: len(groups)]
            rounds = [rng.permutation(members) for _ in range(-(-len(at) // len(members)))]
            drawn[at] = np.concatenate([*rounds, members[:0]])[: len(at)]
    return drawn


def load(store: Store, chosen: Plan, config: Config) -> np.ndarray:
    """Waveforms of a plan, ``[clips, clip_samples]`` float32 in −1…1."""
    ends = [None] * len(chosen.rows) if chosen.ends is None else chosen.ends
    cut = [
        windows.cut(store.samples(row)[:end], start, config.window)
        for row, start, end in zip(chosen.rows, chosen.starts, ends, strict=True)
    ]
    return audio.to_float(np.stack(cut))


def dataset(
    store: Store, chosen: Plan, bonafide: np.ndarray, config: Config, change: Change | None = None
) -> "tf.data.Dataset":  # noqa: F821
    """Build a tf.data pipeline of ``(waveforms [batch, clip_samples], labels [batch, 1])`` with 1 = bonafide.

    ``bonafide`` is indexed by Store row. ``change`` takes the waveforms of a batch and the place of its first one in
    the plan, and returns them augmented.
    """
    import tensorflow as tf

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, batch in enumerate(chosen.batches(config.train.batch_size)):
            waves = load(store, batch, config)
            if change:
                waves = change(waves, number * config.train.batch_size)
            yield waves, bonafide[batch.rows, None].astype(np.float32)

    signature = (
        tf.TensorSpec((None, config.window.clip_samples), tf.float32),
        tf.TensorSpec((None, 1), tf.float32),
    )
    steps = -(-len(chosen.rows) // config.train.batch_size)
    # Autotuning has nothing to tune here, and its thread takes seconds to stop at the end of each epoch.
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return data.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4).with_options(options)


def all_windows(store: Store, rows: np.ndarray, config: Config) -> tuple[Plan, np.ndarray]:
    """Windows that count for the scores of the rows, and for each window its index into ``rows``."""
    found = [store.speech(row) for row in rows]
    starts = [windows.counted(own, config.window.clip_samples, config.window.windows) for own in found]
    owner = np.repeat(np.arange(len(rows)), [len(s) for s in starts])
    ends = np.array([own.end for own in found])
    return Plan(rows[owner], np.concatenate(starts).astype(np.int64), ends[owner]), owner
