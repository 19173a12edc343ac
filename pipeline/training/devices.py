"""Devices that TensorFlow computes on: GPUs if there are any, memory growth, precision and seeds.

Each of several devices holds a copy of the model and gets an equal part of every batch. Gradients are averaged before
each step, so all copies stay the same.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

from pipeline.config import Config
from pipeline.errors import ConfigError

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Parameters of mallopt(3), as glibc's ``malloc.h`` numbers them."""
NEVER = 2**31 - 1


@dataclass(frozen=True)
class Device:
    """Hardware of a run: a readable name, the devices that train together, and Keras' precision policy."""

    name: str
    places: tuple[str, ...]
    precision: str

    @property
    def count(self) -> int:
        """Number of devices that train together."""
        return len(self.places)

    def scope(self) -> AbstractContextManager:
        """Context in which to build and compile a model: mirrored over the devices when there are several."""
        return _strategy(self.places).scope() if self.count > 1 else nullcontext()


@cache
def _strategy(places: tuple[str, ...]) -> "tf.distribute.Strategy":  # noqa: F821
    """Strategy that keeps the copies of a model alike; one per process.

    Every strategy numbers the exchanges between its devices from the same start, so TensorFlow would mistake those of
    a second strategy for those of the first.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(places)


@contextmanager
def _without_start_up_notices() -> Iterator[None]:
    """Silence the start-up notices of TensorFlow's libraries on standard error; real errors are exceptions."""
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
    """Choose the device, set precision and seeds, and keep memory between steps.

    Arithmetic is repeatable on a CPU, and with ``deterministic`` on a GPU. Raises ``ConfigError`` when ``require_gpu``
    is set and TensorFlow sees none, and for a batch that several devices cannot share evenly. Call it before TensorFlow
    is imported, which reads some settings only once.
    """
    keep_freed_memory()
    # TensorFlow enables oneDNN only on some newer CPUs; it is faster on the others too.
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
    # Keras compiles nothing with XLA in deterministic mode.
    if config.device.deterministic or not (gpus or config.device.xla == "on"):
        tf.config.experimental.enable_op_determinism()
    half = config.device.mixed_precision == "on" or (config.device.mixed_precision == "auto" and bool(gpus))
    precision = "mixed_float16" if half else "float32"
    keras.utils.clear_session()  # sets the policy back to float32
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(config.train.seed)
    places = tuple(device.name for device in tf.config.list_logical_devices("GPU" if gpus else "CPU"))
    if config.train.batch_size % len(places):
        raise ConfigError(
            f"--batch_size {config.train.batch_size}: {len(places)} devices share each batch evenly; give a multiple"
        )
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return Device(", ".join(names) or "CPU", places, precision)


def xla(config: Config) -> bool:
    """Whether XLA compiles the training step: on a CPU, where it is slower, only if asked for."""
    import tensorflow as tf

    able = len(tf.config.list_physical_devices("GPU")) == 1 and not config.device.deterministic
    return config.device.xla == "on" or (config.device.xla == "auto" and able)


def keep_freed_memory() -> None:
    """Keep the memory that this process frees for its next step; the process stays as large as its peak.

    glibc returns large freed blocks to the system, which clears every page before it hands it out again. Call this
    before threads start: existing threads keep their own heaps. Does nothing if the C library is not glibc.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    for parameter, value in ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER)):
        library.mallopt(parameter, value)
