"""Files that run code when they are read without care, and code that says so by making a file."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa


class Trap:
    """What a pickle of this does when it is loaded: it makes the file ``sprung``."""

    def __init__(self, sprung: Path):
        self._sprung = sprung

    def __reduce__(self):
        return os.mkdir, (str(self._sprung),)


def pickled(sprung: Path) -> bytes:
    """A pickle that makes the file."""
    return pickle.dumps(Trap(sprung))


def arrays(path: Path, sprung: Path) -> None:
    """An ``.npz`` whose arrays hold objects, and so pickles."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("progress", "variable/00000", "best/00000"):
            member = io.BytesIO()
            held = np.empty(1, dtype=object)
            held[0] = Trap(sprung)
            np.save(member, held, allow_pickle=True)
            archive.writestr(f"{name}.npy", member.getvalue())


def extension(field: pa.Field, sprung: Path) -> pa.Field:
    """A field of the extension type that pyarrow once unpickled."""
    return field.with_metadata(
        {
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickled(sprung),
        }
    )


def yaml(sprung: Path) -> str:
    """Options that YAML's tags would make by a call of ``os.mkdir``."""
    return f'preset: smoke\nseed: !!python/object/apply:os.mkdir ["{sprung}"]\n'


def keras_calling(path: Path, sprung: Path) -> None:
    """A Keras file whose layer is a function of another module, called with the file's arguments."""
    calling = {"module": "os", "class_name": "mkdir", "config": {"path": str(sprung)}, "registered_name": "mkdir"}
    layers = [
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"name": "trap", "function": {**calling, "class_name": "function", "config": "mkdir"}},
            "registered_name": None,
            "name": "trap",
            "inbound_nodes": [{"args": [str(sprung)], "kwargs": {}}],
        },
        {**calling, "name": "trap2", "inbound_nodes": []},
    ]
    config = {"name": "m", "trainable": True, "layers": layers, "input_layers": [], "output_layers": []}
    model = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({**model, "registered_name": "Functional"}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))


def keras_weights(path: Path, sound: Path, sprung: Path) -> None:
    """A sound Keras file whose weights were replaced by arrays of pickles."""
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json"):
            archive.writestr(name, source.read(name))
        held = path.with_suffix(".npz")
        arrays(held, sprung)
        archive.write(held, "model.weights.npz")


def keras_lambda(path: Path, sprung: Path) -> None:
    """A Keras file with a function of Python, as its bytecode."""
    import keras

    place = str(sprung)

    def trap(x, place=place):
        import os

        os.mkdir(place)
        return x

    inputs = keras.Input((8000,))
    layer = keras.layers.Lambda(trap, output_shape=(8000,))
    keras.Model(inputs, keras.layers.Dense(1)(layer(inputs))).save(path)


def registered(folder: Path, sprung: Path) -> None:
    """An MLflow model that runs code however it is loaded: by its loader, its code and its pickle."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "trap_loader.py").write_text(
        f"import os\nos.mkdir({str(sprung)!r})\n\ndef _load_pyfunc(path):\n    return None\n"
    )
    (folder / "python_model.pkl").write_bytes(pickled(sprung))
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: trap_loader\n    code: code\n"
        "    python_model: python_model.pkl\n    env: {}\n"
    )
