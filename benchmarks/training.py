"""``training_step`` and ``input_pipeline``: a full training step against the bare network, and the batches alone.

The bare network is EfficientNetB0 with its head on a constant input. The ratio is the share of its speed that remains
with full augmentation, front end and batches. Clips and batches are those of the preset ``default``; ``--backbone``,
``--mixed_precision`` and other options measure others.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import compared
from benchmarks.compared import Figure, Line
from pipeline import cli
from pipeline.common import parallel
from pipeline.config import Config, option

SECTIONS = ("corpus", "audio", "front_end", "augment", "model", "window", "train", "device", "decision")


@dataclass(frozen=True)
class Options(compared.Options):
    """Store and number of steps."""

    store: str = option("", "folder of a Store; empty: preprocess the corpus first")
    steps: int = option(6, "batches per round; at most an epoch")


QUICK = {"steps": 2}
FULL = {"augment_strength": 1.0, "augment_reverb": 1.0, "stages": 7}
"""Every part of the augmentation at its full strength, and the whole of EfficientNetB0."""
SMALL = {"stages": 1, "clip_s": 1.0, "batch_size": 8}
"""Network and batches of ``--quick``; override other options."""


def bare(config: Config) -> "keras.Model":  # noqa: F821
    """Backbone and head on a spectrogram (or waveform) as input."""
    import keras

    from pipeline.network import front_end, networks

    features = keras.Input((config.window.clip_samples,))
    if not networks.takes_waveform(config):
        features = front_end.spectrogram(features, config.front_end)
    given = keras.Input(features.shape[1:])
    backbone = networks.BACKBONES[config.model.backbone]
    return keras.Model(given, networks.head(backbone.features(given, config.model), config.model))


def measure(config: Config, options: Options) -> list[Line]:
    """Measure both lines."""
    from pipeline import preprocess
    from pipeline.store.store import Store
    from pipeline.training import devices
    from pipeline.training.data import Data

    device = devices.prepare(config)
    import keras

    from pipeline.training import gradient_descent

    store = Store.open(Path(options.store) if options.store else preprocess.ensure(config))
    data = Data.of(store, config)
    batch, steps = config.train.batch_size, options.steps
    with device.scope():
        whole, network = gradient_descent.build(config, steps), bare(config)
        network.compile(keras.optimizers.Adam(config.train.learning_rate), whole.loss, jit_compile=False)
    shape = network.input_shape[1:]
    constant = _constant(np.zeros((batch, *shape), "float32"), np.arange(batch, dtype="float32")[:, None] % 2, steps)

    def batches() -> int:
        return sum(len(waves) for waves, _ in data.epoch(0).take(steps))

    name = config.model.backbone
    everything, alone, pipeline = "augmentation, front end, batches and network", f"bare {name}", "batches alone"
    contenders = {
        everything: lambda: whole.fit(data.epoch(0).take(steps), verbose=0, shuffle=False),
        alone: lambda: network.fit(constant, verbose=0, shuffle=False),
        pipeline: batches,
    }
    clips = batches()
    for work in contenders.values():
        work()  # compiles
    taken = compared.alternate(contenders, repetitions=options.repetitions)
    cores = parallel.cores()
    note = f"{shape}, {clips} clips in batches of {batch} on {device.name}, {device.precision}, {cores} cores"
    share = Figure("of the bare network's steps per second", compared.ratios(taken[alone], taken[everything]), 0.85)
    ample = Figure("× what the training step consumes", compared.ratios(taken[everything], taken[pipeline]), 5)
    return [
        Line(
            "training_step",
            "training step, full augmentation",
            f"bare {name} step on constants",
            [share],
            taken,
            note=note,
        ),
        Line("input_pipeline", "input pipeline alone", "what the training step consumes", [ample], note=note),
    ]


def _constant(spectrograms: np.ndarray, labels: np.ndarray, steps: int) -> "tf.data.Dataset":  # noqa: F821
    """Repeat one batch at no cost."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensors((spectrograms, labels)).cache().repeat(steps).with_options(options)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its lines."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    chosen = FULL | (SMALL if options.quick else {})
    return compared.finish(measure(config.replace(**chosen), options), options)


if __name__ == "__main__":
    cli.run(main)
