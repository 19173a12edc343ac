"""What TensorFlow computes on: GPUs if there are any, memory growth, precision, and the seeds of it all.

Several devices each hold a copy of the model and hear an equal part of every batch; their gradients are averaged before
each step, so that all copies stay the same.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.training import heap


@dataclass(frozen=True)
class Device:
    """The hardware of a run: a readable name, the devices that train together, and Keras' precision policy."""

    name: str
    places: tuple[str, ...]
    precision: str

    @property
    def count(self) -> int:
        """How many devices train together."""
        return len(self.places)

    def scope(self) -> AbstractContextManager:
        """Context in which to build and compile a model: mirrored over the devices when there are several."""
        return _strategy(self.places).scope() if self.count > 1 else nullcontext()


@cache
def _strategy(places: tuple[str, ...]) -> "tf.distribute.Strategy":  # noqa: F821
    """What keeps copies of a model alike, the same for all models of a process.

    Each strategy numbers the exchanges between its devices from the same number on, and TensorFlow takes those of a
    second for those of the first.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(places)


@contextmanager
def _without_start_up_notices() -> Iterator[None]:
    """Silence what TensorFlow's libraries write to standard error while they are loaded; errors are exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def prepare(config: Config) -> Device:
    """Choose the device, set precision and seeds, make CPU arithmetic repeatable, and keep memory between steps.

    Raises ``ConfigError`` when ``require_gpu`` is set and TensorFlow sees none, and for a batch that several devices
    cannot share evenly. To be called before TensorFlow is imported, which reads some of it but once.
    """
    heap.keep_freed()
    # oneDNN's convolutions, TensorFlow's choice on some newer processors alone, are quicker than its own on others too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _without_start_up_notices():
        import keras
        import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if config.device.require_gpu and not gpus:
        raise ConfigError(
            "--require_gpu true: TensorFlow sees no GPU. Install the GPU build (make install GPU=1), "
            "check the driver with nvidia-smi, or drop the option"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        tf.config.experimental.enable_op_determinism()
    half = config.device.mixed_precision == "on" or (config.device.mixed_precision == "auto" and bool(gpus))
    precision = "mixed_float16" if half else "float32"
    keras.config.set_dtype_policy(precision)
    keras.utils.clear_session()
    keras.utils.set_random_seed(config.train.seed)
    places = tuple(device.name for device in tf.config.list_logical_devices("GPU" if gpus else "CPU"))
    if config.train.batch_size % len(places):
        raise ConfigError(
            f"--batch_size {config.train.batch_size}: {len(places)} devices share each batch evenly; give a multiple"
        )
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return Device(", ".join(names) or "CPU", places, precision)
