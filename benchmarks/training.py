"""Training with batches, augmentation and front end against the bare network on a constant of the same shape.

The bare network is the backbone with its head behind an input that never changes, so it takes no time but its own. The
ratio says what share of the clips a second the rest leaves.
"""

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import timing
from pipeline import cli
from pipeline.config import Config, option

SECTIONS = ("corpus", "audio", "front_end", "augment", "model", "train")


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to time."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    steps: int = option(10, "batches a round")
    repetitions: int = option(5, "rounds")


def bare(config: Config) -> "keras.Model":  # noqa: F821
    """Backbone and head on a spectrogram (or waveform) that is given."""
    import keras

    from pipeline import frontend, models

    heard = keras.Input((models.clip_samples(config),))
    if not models.hears_waveform(config):
        heard = frontend.spectrogram(heard, config.front_end)
    given = keras.Input(heard.shape[1:])
    backbone = models.BACKBONES[config.model.backbone]
    return keras.Model(given, models.head(backbone.features(given, config.model), config.model))


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    config, options = cli.parse(
        __doc__.split("\n\n")[0], sections=SECTIONS, options=BenchmarkOptions, default_preset="demo", argv=argv
    )
    from pipeline import descent, devices, preprocess
    from pipeline.store import Store
    from pipeline.training_data import Data

    device = devices.prepare(config.train)
    store = Store.open(Path(options.store) if options.store else preprocess.ensure(config))
    data = Data.of(store, config.train)
    batch, steps = config.train.batch_size, options.steps
    with device.scope():
        whole, network = descent.build(config, steps), bare(config)
        network.compile(whole.optimizer.__class__(config.train.learning_rate), whole.loss, jit_compile=False)
    shape = network.input_shape[1:]
    constant = np.zeros((batch, *shape), "float32"), np.arange(batch, dtype="float32")[:, None] % 2

    def with_everything() -> None:
        whole.fit(data.epoch(0).take(steps), verbose=0)

    def alone() -> None:
        for _ in range(steps):
            network.train_on_batch(*constant)

    with_everything(), alone()  # compile
    contenders = {"augmentation, front end, batches": with_everything, "bare network": alone}
    seconds = timing.alternate(contenders, repetitions=options.repetitions)
    ours, limit = seconds.values()
    print(f"{config.model.backbone}, {shape}, batches of {batch} on {device.name}, {os.cpu_count()} cores")
    print(timing.table(seconds, items=batch * steps, unit="clips"))
    share = [b / a for a, b in zip(ours, limit, strict=True)]
    print(f"clips/s against the bare network: {statistics.median(share):.2f} ({min(share):.2f} to {max(share):.2f})")
    return 0


if __name__ == "__main__":
    cli.run(main)
