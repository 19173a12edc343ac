"""Training batches: the plan of an epoch (which window of which clip) and the tf.data pipeline that cuts it.

The plan is a pure function of the seed and the number of the epoch, so a run resumed after a kill sees the batches it
would have seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pipeline import audio
from pipeline.audio import windows
from pipeline.config import SAMPLE_RATE_HZ, Config
from pipeline.errors import ConfigError
from pipeline.store.segments import Segments
from pipeline.store.store import Store

Change = Callable[[np.ndarray, int], np.ndarray]
Spoofed = Mapping[int, Segments]
"""Spoofed segments, in s, of the Store rows that list some."""
SPOOFED_SHARE = 0.25
"""Share of a window that is spoofed from which on the window counts as spoof."""


@dataclass(frozen=True)
class Plan:
    """Windows in the order in which the network takes them: Store row and first sample of each, both ``[clips]``.

    ``ends`` ``[clips]`` is the sample from which on a recording is left out; by default none is. ``own_labels``
    ``[clips]`` is true for bonafide windows, or holds their targets; by default a window has those of its recording.
    """

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray | None = None
    own_labels: np.ndarray | None = None

    def labels(self, targets: np.ndarray) -> np.ndarray:
        """Targets of the windows ``[clips]`` from those by Store row: 1 for bonafide, 0 or less for spoof."""
        return targets[self.rows] if self.own_labels is None else self.own_labels

    def first(self, clips: int) -> "Plan":
        """First clips of the plan."""
        return self.part(slice(clips))

    def batches(self, batch_size: int) -> Iterator["Plan"]:
        """Cut the plan into batches, the last one possibly smaller."""
        for first in range(0, len(self.rows), batch_size):
            yield self.part(slice(first, first + batch_size))

    def part(self, part: slice | np.ndarray) -> "Plan":
        """Part of the plan."""
        ends, labels = (None if own is None else own[part] for own in (self.ends, self.own_labels))
        return Plan(self.rows[part], self.starts[part], ends, labels)


def plan(
    rows: np.ndarray,
    bonafide: np.ndarray,
    samples: np.ndarray,
    config: Config,
    epoch: int,
    corpora: np.ndarray | None = None,
    spoofed: Spoofed = MappingProxyType({}),
) -> Plan:
    """Plan one epoch: as many windows as there are clips.

    With ``spoofed`` the windows of partly spoofed clips have their own labels (see ``window_labels``), by which the
    classes are balanced, and those between the classes are left out.

    Parameters
    ----------
    rows : Store rows of the subset, ``[clips]``.
    bonafide : which of them are bonafide, ``[clips]`` bool.
    samples : length of each, ``[clips]``.
    epoch : number of the epoch; each has another order and other crops.
    corpora : corpus of each, ``[clips]`` of any type, for ``balance`` by corpus.
    spoofed : spoofed segments of partly spoofed clips.
    """
    rng = np.random.default_rng([config.train.seed, epoch])
    balance = bool(config.train.balance)
    corpora = corpora if config.train.balance == "corpus,label" else None
    if not spoofed:
        chosen = order(bonafide, balance, rng, corpora)
        return Plan(rows[chosen], _crops(samples[chosen], config, rng))
    starts = _crops(samples, config, rng)
    labels, decided = window_labels(rows, starts, bonafide, samples, spoofed, config)
    kept = np.flatnonzero(decided)
    if labels[kept].all():
        raise ConfigError(
            f"--clip_s {config.window.clip_s:g}: no window drawn is spoofed by {100 * SPOOFED_SHARE:g} % or more; "
            "shorten it"
        )
    chosen = kept[order(labels[kept], balance, rng, None if corpora is None else corpora[kept])]
    # A repeated clip gets another crop, unless its label depends on it.
    fixed = np.isin(rows[chosen], list(spoofed))
    return Plan(
        rows[chosen],
        np.where(fixed, starts[chosen], _crops(samples[chosen], config, rng)),
        own_labels=labels[chosen],
    )


def _crops(samples: np.ndarray, config: Config, rng: np.random.Generator) -> np.ndarray:
    """First sample of a window of each clip of these lengths, ``[clips]``."""
    if config.train.crop != "random":
        return np.zeros(len(samples), dtype=np.int64)
    return rng.integers(0, np.maximum(samples - config.window.clip_samples, 0) + 1)


def window_labels(
    rows: np.ndarray,
    starts: np.ndarray,
    bonafide: np.ndarray,
    samples: np.ndarray,
    spoofed: Spoofed,
    config: Config,
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each window is bonafide, and whether that is decided, both ``[windows]`` bool.

    A window of a partly spoofed recording is spoof if at least ``SPOOFED_SHARE`` of it is, bonafide if none is, and
    undecided between; any other window is what its recording is. All arrays are by window.
    """
    labels, decided = bonafide.copy(), np.ones(len(rows), bool)
    for place in np.flatnonzero(np.isin(rows, list(spoofed))):
        start = starts[place]
        end = min(start + config.window.clip_samples, samples[place])
        segments = np.array(spoofed[int(rows[place])]) * SAMPLE_RATE_HZ  # (segments, 2)
        overlaps = np.minimum(segments[:, 1], end) - np.maximum(segments[:, 0], start)
        share = np.maximum(overlaps, 0).sum() / (end - start)
        labels[place] = share == 0
        decided[place] = share == 0 or share >= SPOOFED_SHARE
    return labels, decided


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
    store: Store, chosen: Plan, targets: np.ndarray, config: Config, change: Change | None = None
) -> "tf.data.Dataset":  # noqa: F821
    """Build a tf.data pipeline of ``(waveforms [batch, clip_samples], targets [batch, 1])`` with 1 = bonafide.

    ``targets`` are by Store row, bool or as in ``Data``. ``change`` takes the waveforms of a batch and the place of its
    first one in the plan, and returns them augmented.
    """
    import tensorflow as tf

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, batch in enumerate(chosen.batches(config.train.batch_size)):
            waves = load(store, batch, config)
            if change:
                waves = change(waves, number * config.train.batch_size)
            yield waves, batch.labels(targets)[:, None].astype(np.float32)

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
