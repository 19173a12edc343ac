"""Tensors of a PyTorch file, without PyTorch and without running what the file says.

A pickle may call any function that it names. This reader knows two names, those that rebuild a tensor and a parameter;
every other class becomes an inert holder of its state, and every other function an error.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

from pipeline.errors import CorpusError

KINDS = {"FloatStorage": np.dtype("<f4"), "HalfStorage": np.dtype("<f2"), "LongStorage": np.dtype("<i8")}

MOST_BYTES = 2**30
"""Unpacked size of the largest file that is read."""


class Holder:
    """Stand-in for any class of a file: it keeps the state, and has no code."""

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}


def read(data: bytes) -> dict[str, np.ndarray]:
    """Arrays by their dotted name in the module that was saved.

    Raises ``CorpusError`` for what is no PyTorch file in zip format, and for one whose pickle names anything but
    modules, tensors and parameters.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise CorpusError(f"its unpacked size is over {MOST_BYTES} bytes")
            members = archive.namelist()
            index = next((name for name in members if name.endswith("/data.pkl")), None)
            if index is None:
                raise CorpusError("no PyTorch file in zip format: data.pkl is missing")
            loaded = _Reader(archive, index).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError) as e:
        raise CorpusError(f"not a PyTorch file that can be read safely: {e}") from None
    return dict(_flat(loaded, ""))


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, index: str):
        super().__init__(io.BytesIO(archive.read(index)))
        self._archive, self._folder = archive, index.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> object:
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _parameter
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in (("__builtin__", "set"), ("builtins", "set")):
            return set
        if module == "torch" and name in KINDS:
            return KINDS[name]
        if name[:1].isupper() and module.split(".")[0] in ("torch", "melgan"):
            return type(name, (Holder,), {})
        raise pickle.UnpicklingError(f"its pickle names {module}.{name}")

    def persistent_load(self, identity: tuple) -> np.ndarray:
        kind, dtype, key, _, size = identity
        if kind != "storage" or not isinstance(dtype, np.dtype) or not str(key).isalnum():
            raise pickle.UnpicklingError(f"unknown storage {identity!r}")
        values = np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)
        if len(values) < size:
            raise pickle.UnpicklingError(f"storage {key} holds {len(values)} of {size} values")
        return values


def _tensor(storage: np.ndarray, offset: int, shape: tuple, stride: tuple, *_: object) -> np.ndarray:
    """Copy of a strided view, checked to lie inside its storage."""
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) if all(shape) else offset
    if min((offset, *shape, *stride)) < 0 or last >= max(len(storage), 1) or math.prod(shape) > len(storage):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} lies outside its {len(storage)} values")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False).copy()


def _parameter(tensor: np.ndarray, *_: object) -> np.ndarray:
    return tensor


def _flat(value: object, name: str) -> list[tuple[str, np.ndarray]]:
    """Arrays of a module, a mapping of tensors, or a mapping of modules."""
    if isinstance(value, np.ndarray):
        return [(name, value)]
    if isinstance(value, Holder):
        inner = [value.state.get(part) or {} for part in ("_parameters", "_buffers", "_modules")]
    else:
        inner = [value] if isinstance(value, dict) else []
    return [
        pair
        for own in inner
        for key, held in own.items()
        for pair in _flat(held, f"{name}.{key}" if name else str(key))
    ]
