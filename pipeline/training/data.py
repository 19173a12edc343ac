"""Data of a training: rows to fit, rows to choose by, and the batches of an epoch."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.config import BONAFIDE, Config
from pipeline.errors import ConfigError
from pipeline.store import manifest
from pipeline.store.manifest import matching
from pipeline.store.store import Store
from pipeline.training import batches
from pipeline.training.batches import Spoofed
from pipeline.training.host_augmentation import HostAugmentation

TRAIN_SAMPLE = 100
"""Clips of the train subset measured beside dev after every epoch, by their first window."""


@dataclass(frozen=True)
class Data:
    """Rows of train, a fixed sample of them, and rows of dev; labels, lengths and corpora by Store row.

    ``spoofed`` are the spoofed segments of train's rows that list some: their windows have their own labels.
    ``attacks`` are the attacks of train's spoofs if the network learns them, and ``targets`` ``[rows]`` float32 what it
    learns: 1 for bonafide, −1, −2 … for a spoof by the first, second … attack, 0 for any other spoof.
    """

    store: Store
    bonafide: np.ndarray
    targets: np.ndarray
    samples: np.ndarray
    corpora: np.ndarray
    train: np.ndarray
    sample: np.ndarray
    dev: np.ndarray
    config: Config
    augmentation: HostAugmentation | None = None
    spoofed: Spoofed = field(default_factory=dict)
    attacks: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, config: Config) -> "Data":
        """Raise ``ConfigError`` if train or dev lacks a class, ``StoreError`` if audio has changed.

        The folders of own noises and rooms are checked too.
        """
        bonafide = (store.manifest["label"] == BONAFIDE).to_numpy()
        kept = bonafide | ~left_out(store, config)
        rows = {name: store.subset(name) for name in ("train", "dev")}
        rows = {name: members[kept[members]] for name, members in rows.items()}
        for name, members in rows.items():
            counts = int(bonafide[members].sum()), int((~bonafide[members]).sum())
            if min(counts) == 0:
                raise ConfigError(
                    f"{store.folder}: {name} holds {counts[0]} bonafide and {counts[1]} spoof clips; both are needed. "
                    "Read more parts of the corpus, choose another split_by or leave fewer attacks out"
                )
        attacks, targets = (), bonafide.astype(np.float32)
        if config.train.target == "attack":
            attacks, targets = attack_targets(store, rows, config)
        # Now, rather than after hours of training.
        store.verify()
        rng = np.random.default_rng(config.train.seed)
        train = rows["train"]
        sample = [rng.permutation(train[bonafide[train] == label])[: TRAIN_SAMPLE // 2] for label in (True, False)]
        return cls(
            store=store,
            bonafide=bonafide,
            targets=targets,
            samples=store.lengths(),
            corpora=store.manifest["corpus"].factorize()[0],
            train=train,
            sample=np.sort(np.concatenate(sample)),
            dev=rows["dev"],
            config=config,
            augmentation=HostAugmentation.of(config),
            spoofed={int(row): found for row in train if (found := store.segments(int(row)))},
            attacks=attacks,
        )

    def steps(self, devices: int = 1) -> int:
        """Batches per epoch."""
        return math.ceil(self._shared(devices) / self.config.train.batch_size)

    def epoch(self, number: int, devices: int = 1) -> "tf.data.Dataset":  # noqa: F821
        """Batches of an epoch; ``devices`` can share each of them evenly."""
        chosen = self.plan(number, self.config)
        chosen = chosen.first(len(chosen.rows) - len(chosen.rows) % devices)
        change = self.augmentation and self.augmentation.of_epoch(self.config.train.seed, number)
        return batches.dataset(self.store, chosen, self.targets, self.config, change)

    def plan(self, number: int, config: Config) -> batches.Plan:
        """Windows of an epoch."""
        bonafide, samples, corpora = (known[self.train] for known in (self.bonafide, self.samples, self.corpora))
        found = batches.plan(self.train, bonafide, samples, config, number, corpora, self.spoofed)
        if found.own_labels is None or not self.attacks:
            return found
        return replace(found, own_labels=np.where(found.own_labels, 1, self.targets[found.rows]))

    def _shared(self, devices: int) -> int:
        """Clips per epoch, a multiple of ``devices``: each part of a batch counts the same, whatever its size."""
        return len(self.train) - len(self.train) % devices

    def windows(self) -> "tf.data.Dataset":  # noqa: F821
        """Windows of the train subset, each once, in order."""
        chosen, _ = batches.all_windows(self.store, self.train, self.config)
        if self.spoofed:
            given = chosen.rows, chosen.starts, self.bonafide[chosen.rows], self.samples[chosen.rows]
            labels, decided = batches.window_labels(*given, self.spoofed, self.config)
            chosen = replace(chosen, own_labels=labels).part(decided)
        return batches.dataset(self.store, chosen, self.bonafide, self.config)


def settle_target(config: Config) -> Config:
    """Take no pseudo-spoofs with ``--target attack``, with a printed line."""
    if config.train.target != "attack" or not config.train.pseudo_spoofs:
        return config
    print("--target attack: no pseudo-spoofs, which none of the known attacks made")
    return config.replace(pseudo_spoofs=0.0)


def attack_targets(store: Store, rows: dict[str, np.ndarray], config: Config) -> tuple[tuple[str, ...], np.ndarray]:
    """Attacks of train's spoofs, and the targets by Store row (see ``Data``); ``rows`` are those of train and dev.

    Raises ``ConfigError`` if train has fewer than two, or if none of them is in dev.
    """
    if config.train.pseudo_spoofs:
        raise ConfigError("--target attack: no known attack made the pseudo-spoofs; give --pseudo_spoofs 0")
    made = manifest.generators(store.manifest)
    known = tuple(sorted(set(made.iloc[rows["train"]]) - {""}))
    targets = -(made.map({name: number for number, name in enumerate(known, start=1)}).fillna(0).to_numpy(np.float32))
    targets[store.manifest["label"] == BONAFIDE] = 1
    if len(known) < 2 or not (targets[rows["dev"]] < 0).any():
        raise ConfigError(
            f"--target attack: {store.folder} has the attacks {', '.join(known) or 'none'} in train"
            f"{'' if len(known) < 2 else ', none of them in dev'}; two or more are needed, and one of them in dev: "
            "read more parts of the corpus, or choose another split_by"
        )
    return known, targets


def left_out(store: Store, config: Config) -> np.ndarray:
    """Rows of the attacks that ``leave_out`` names, ``[rows]`` bool; raises ``ConfigError`` if it names none."""
    attacks = store.manifest["attack"]
    spoof = store.manifest["label"] != BONAFIDE
    for pattern in filter(None, config.train.leave_out.split(",")):
        if not (spoof & matching(attacks, pattern)).any():
            known = ", ".join(sorted(set(attacks[spoof])))
            raise ConfigError(f"--leave_out {pattern!r}: no such attack in {store.folder}; it has {known}")
    return (spoof & matching(attacks, config.train.leave_out)).to_numpy()
