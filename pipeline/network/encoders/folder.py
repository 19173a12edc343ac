"""Folder of a pretrained encoder as its publisher ships it: ``config.json`` and weights in safetensors.

The weights are one ``model.safetensors``, or several files that ``model.safetensors.index.json`` lists. No pickle is
read: a pickle can run code.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ml_dtypes  # noqa: F401  teaches numpy bfloat16
import numpy as np
from safetensors import SafetensorError, safe_open

from pipeline.common.files import sha256
from pipeline.errors import EncoderError
from pipeline.network.encoders.settings import FAMILIES

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Tensors(Mapping[str, np.ndarray]):
    """Tensors of safetensors files by name, float32, each read from the disk when it is asked for."""

    def __init__(self, files: tuple[Path, ...]):
        self._open = {path: _opened(path) for path in files}
        self._file = {name: path for path, file in self._open.items() for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self._open[self._file[name]].get_tensor(name)
        if tensor.dtype not in ("float16", "bfloat16", "float32"):
            raise EncoderError(
                f"{self._file[name]}: tensor {name} is {tensor.dtype}, not float16, bfloat16 or float32: "
                "take the weights that are not quantised"
            )
        return tensor.astype("float32")

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)


@dataclass(frozen=True)
class EncoderFolder:
    """Encoder on the disk: family (``whisper`` or ``wav2vec2``), settings of its layer, and files of its weights."""

    path: Path
    family: str
    settings: dict[str, object]
    files: tuple[Path, ...]

    @classmethod
    def read(cls, path: str | Path) -> "EncoderFolder":
        """Read a folder, but not yet its weights; raises ``EncoderError`` that names the folder and the file."""
        path = Path(path)
        if not path.is_dir():
            raise EncoderError(f"{path}: no such folder: --encoder takes the folder with config.json and {WEIGHTS}")
        config = _json(path / "config.json")
        kind = config.get("model_type")
        if kind not in FAMILIES:
            raise EncoderError(
                f"{path / 'config.json'}: model_type is {kind!r}: it must be one of {', '.join(FAMILIES)}"
            )
        family, settings = FAMILIES[kind]
        preprocessor = path / "preprocessor_config.json"
        try:
            read = settings.read(config, _json(preprocessor) if preprocessor.is_file() else {})
        except EncoderError as error:
            raise EncoderError(f"{path / 'config.json'}: {error}") from None
        groups = getattr(read, "position_groups", 1)
        for count, what in ((read.heads, "attention heads"), (groups, "groups of the positional convolution")):
            if read.channels % count:
                raise EncoderError(f"{path / 'config.json'}: {count} {what} cannot share {read.channels} channels")
        return cls(path, family, dataclasses.asdict(read), _weights(path))

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits over settings and weights, the same wherever the folder lies."""
        contents = [self.family, self.settings, [sha256(file) for file in self.files]]
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def kept(self) -> int:
        """Blocks of the encoder."""
        return self.settings["blocks"]

    def tensors(self) -> Tensors:
        """Tensors of the weights by their names in the files."""
        return Tensors(self.files)


def _weights(folder: Path) -> tuple[Path, ...]:
    """Files of the weights, of the only name or of the index."""
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        places = _json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise EncoderError(f"{folder / INDEX}: it has no weight_map: download the folder again")
        names = sorted({str(name) for name in places.values()})
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise EncoderError(f"{folder}: {name}, which {INDEX} lists, is not there: download the folder again")
        return tuple(folder / name for name in names)
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        raise EncoderError(
            f"{folder}: {', '.join(pickles)} may be a pickle, which can run code, and is not read: take {WEIGHTS} from "
            "the publisher (it may lie in a pull request on the model's page), or save the model with transformers' "
            "save_pretrained(folder, safe_serialization=True)"
        )
    raise EncoderError(f"{folder}: neither {WEIGHTS} nor {INDEX} is there: download the weights to it")


def _opened(path: Path):
    try:
        return safe_open(path, "numpy")
    except (SafetensorError, OSError) as error:
        raise EncoderError(f"{path}: it is not whole ({error}): download it again") from None


def _json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{path}: not there: --encoder takes the folder with config.json and {WEIGHTS}") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: it is not JSON ({error}): download it again") from None
    if not isinstance(values, dict):
        raise EncoderError(f"{path}: it holds {type(values).__name__}, not names and values: download it again")
    return values
