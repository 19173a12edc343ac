"""Telephone calls for measuring: one speaker's recordings end to end, with ten seconds of spoof among them.

The clips of all calls come from the given rows of a Store only, so calls of eval rows hold nothing that training used.
A seed draws the clips and their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ
from pipeline.errors import ConfigError
from pipeline.store.store import Store


@dataclass(frozen=True)
class Call:
    """A call ``[samples]`` float32, and the start and end of its spoof in s; ``None`` without spoof."""

    wave: np.ndarray
    spoof_s: tuple[float, float] | None
    speaker: str
    attack: str


def material(store: Store, rows: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bonafide rows, and rows that are spoofed as a whole; raises ``ConfigError`` if there are none of either."""
    table = store.manifest.iloc[rows]
    bonafide = table["label"] == BONAFIDE
    whole = np.array([not store.segments(row) for row in rows], bool)
    found = table[bonafide], table[~bonafide & whole]
    if min(map(len, found)) == 0:
        raise ConfigError(
            f"{store.folder}: calls are spliced from bonafide clips and clips that are spoofed as a whole; there are "
            f"{len(found[0])} and {len(found[1])}: add recordings, or choose other subsets"
        )
    return found


def splice(
    store: Store, rows: np.ndarray, *, calls: int, call_s: float = 60.0, spoof_s: float = 10.0, seed: int = 0
) -> Iterator[Call]:
    """Yield calls of ``call_s`` seconds, every fourth without spoof; see ``material`` for ``rows``.

    The bonafide speech of a call is of one speaker and its spoof of one attack: of the same speaker if there is enough
    of it. Speakers and attacks take turns in a random order.
    """
    rng = np.random.default_rng(seed)
    bonafide, spoof = material(store, rows)
    speakers = rng.permutation(bonafide["speaker"].unique())
    attacks = rng.permutation(spoof["attack"].unique())
    for number in range(calls):
        speaker = str(speakers[number % len(speakers)])
        own = bonafide.index[bonafide["speaker"] == speaker].to_numpy()
        if number % 4 == 3:
            yield Call(_joined(store, own, call_s, rng), None, speaker, "-")
            continue
        attack = str(attacks[number % len(attacks)])
        of_attack = spoof[spoof["attack"] == attack]
        same = of_attack[of_attack["speaker"] == speaker]
        chosen = same if same["duration_s"].sum() >= spoof_s else of_attack
        inserted = _joined(store, chosen.index.to_numpy(), spoof_s, rng)
        rest = _joined(store, own, call_s - spoof_s, rng)
        at_s = float(rng.uniform(5.0, call_s - spoof_s - 5.0))
        at = round(at_s * SAMPLE_RATE_HZ)
        yield Call(np.concatenate([rest[:at], inserted, rest[at:]]), (at_s, at_s + spoof_s), speaker, attack)


def _joined(store: Store, rows: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Join clips in a random order, each once before any repeats, and cut them to the length."""
    size, parts = round(seconds * SAMPLE_RATE_HZ), []
    while sum(map(len, parts)) < size:
        parts += [store.waveform(int(row)) for row in rng.permutation(rows)]
    return np.concatenate(parts)[:size]
