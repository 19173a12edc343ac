"""Features of a frozen encoder: what its head takes of each window, computed once and kept on disk.

They lie under ``artifacts/features/<key>/`` in files of ``SHARD`` windows, each whole or not there, so a killed
computation resumes at its last file. The key covers all that the features depend on and nothing of the head, so another
head, learning rate or number of epochs finds them.
"""

import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.common import files
from pipeline.common.progress import track
from pipeline.config import Config, artifacts_dir, fingerprint
from pipeline.errors import ConfigError, ProjectError
from pipeline.network import networks
from pipeline.network.augmentation.layer import Augmentation
from pipeline.network.encoders import load
from pipeline.training import batches, host_augmentation, parent, pseudo_spoofs
from pipeline.training.batches import Plan
from pipeline.training.data import Data

VERSION = 2
"""Raise it when a change makes other features of the same configuration."""
BATCH = 32
SHARD = 512
"""Windows in a file, a multiple of ``BATCH``."""
LOCK = ".in-use"
ADVICE = "lower --variants or --encoder_layers"


@dataclass(frozen=True)
class Part:
    """Features of some windows in order, ``[windows, …]`` float16 in mapped files, and their targets."""

    shards: tuple[np.ndarray, ...]
    labels: np.ndarray

    def take(self, which: np.ndarray) -> np.ndarray:
        """Features of the windows ``which``, ``[len(which), …]`` float32."""
        taken = np.empty((len(which), *self.shards[0].shape[1:]), np.float32)
        for number in np.unique(which // SHARD):
            here = which // SHARD == number
            taken[here] = self.shards[number][which[here] % SHARD]
        return taken


class Features:
    """Features of one network, Store and configuration; what is missing is computed when it is asked for.

    Parameters
    ----------
    model : whole network, from waveform to logit.
    """

    def __init__(self, model: keras.Model, data: Data, config: Config):
        self._data, self._config = data, config.replace(seed=0, batch_size=BATCH)
        encode = networks.before_head(model)
        self._shape = encode.output_shape[1:]
        self._augmentation = [layer for layer in model.layers if isinstance(layer, Augmentation)]
        self._encode = tf.function(lambda waves, training: encode(waves, training=training), reduce_retracing=True)
        self.folder = artifacts_dir() / "features" / key(data, config)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Held until the process ends; ``_make_room`` deletes no folder that is in use.
        self._lock = (self.folder / LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def epoch(self, number: int) -> Part:
        """Augmented windows of an epoch, some of the spoofs pseudo-spoofs; the draws depend on ``number`` only."""
        return self._part(f"epoch-{number}", self._data.plan(number, self._config), number)

    def windows(self, chosen: Plan) -> Part:
        """Windows of a plan as they are."""
        ends = None if chosen.ends is None else chosen.ends.tolist()
        return self._part(f"windows-{fingerprint(chosen.rows.tolist(), chosen.starts.tolist(), ends)}", chosen, None)

    def reserve(self, windows: int) -> None:
        """Print the disk space of the features of ``windows`` windows; delete those of other trainings if need be.

        The longest unused go first. Raises ``ConfigError`` above ``features_gb``, ``ProjectError`` if the disk has
        no room.
        """
        needed, limit = windows * int(np.prod(self._shape)) * 2, round(self._config.encoder.features_gb * 1e9)
        if needed > limit:
            raise ConfigError(
                f"--features_gb {limit / 1e9:g}: the features of {windows} windows take {needed / 1e9:.2g} GB "
                f"({' × '.join(map(str, self._shape))} float16 each); raise it, or {ADVICE}"
            )
        _make_room(self.folder, limit - needed)
        missing, free = needed - _size(self.folder), shutil.disk_usage(self.folder).free
        if missing > free:
            raise ProjectError(
                f"{self.folder}: the features need {missing / 1e9:.2g} GB, {free / 1e9:.2g} GB are free; {ADVICE}"
            )
        print(f"features of {windows} windows: {needed / 1e6:.0f} MB in {self.folder}", flush=True)

    def _part(self, name: str, chosen: Plan, epoch: int | None) -> Part:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        count = len(chosen.rows)
        paths = [folder / f"{first // SHARD:05d}.npy" for first in range(0, count, SHARD)]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        done = len(paths) - len(missing)
        for number in track(missing, total=len(paths), done=done, what=name.split("-w")[0], unit="file"):
            part = chosen.part(slice(number * SHARD, (number + 1) * SHARD))
            made = np.concatenate(list(self._encoded(part, None if epoch is None else [epoch, number * SHARD])))
            if not np.isfinite(made).all():
                raise ProjectError(f"{folder}: the encoder returns numbers that are not finite; check its weights")
            with files.whole_file(paths[number], shared=True) as unfinished, unfinished.open("wb") as file:
                np.save(file, made)
        shards = tuple(np.load(path, mmap_mode="r") for path in paths)
        return Part(shards, chosen.labels(self._data.targets).astype(np.float32))

    def _encoded(self, chosen: Plan, seed: list[int] | None) -> Iterator[np.ndarray]:
        """Features by batches, ``[batch, …]`` float16; with a seed the windows are augmented as in training."""
        share = self._config.train.pseudo_spoofs
        for layer in self._augmentation if seed else ():
            layer.seed_generator.state.assign(seed)
        change = None
        if seed and self._data.augmentation:
            change = self._data.augmentation.of_epoch(self._config.train.seed, *seed)
        dataset = batches.dataset(self._data.store, chosen, self._data.bonafide, self._config, change)
        replace = tf.function(partial(pseudo_spoofs.replace, share=share, batch_size=BATCH))
        for step, (waves, labels) in enumerate(dataset):
            if seed and share:
                drawn = tf.constant([seed[0], 1000 * (seed[1] + step)])
                waves = replace(waves, labels, seed=drawn)
            yield self._encode(waves, bool(seed)).numpy().astype(np.float16)


def key(data: Data, config: Config) -> str:
    """Fingerprint of all that the features depend on."""
    encoder = load.source(config.encoder).digest
    settings = (config.model.backbone, config.encoder.encoder_layers, config.encoder.pooling)
    drawn = (config.train.crop, config.train.balance, config.train.leave_out, config.train.pseudo_spoofs)
    start = parent.find(config)
    weights = [parent.checksum(start)] if start else []
    augment = (config.augment, host_augmentation.content(config.host))
    return fingerprint(VERSION, data.store.fingerprint, encoder, *weights, *settings, *augment, config.window, *drawn)


def _make_room(own: Path, most: int) -> None:
    """Delete features of others until they take ``most`` bytes at most, except for those in use."""
    others = sorted(
        (path.parent for path in own.parent.glob(f"*/{LOCK}")), key=lambda path: (path / LOCK).stat().st_mtime
    )
    sizes = {path: _size(path) for path in others if path != own}
    for path in list(sizes):
        if sum(sizes.values()) <= most:
            return
        with (path / LOCK).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            print(f"deleting {path} ({sizes.pop(path) / 1e6:.0f} MB), features of an earlier training")
            shutil.rmtree(path)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.npy"))
