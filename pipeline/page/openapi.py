"""Description of the HTTP interfaces by OpenAPI 3.1; rows and lines are described from their classes."""

import base64
import dataclasses
import types
import typing
from functools import cache
from pathlib import Path

import yaml

from pipeline.scoring.row import Row
from pipeline.streaming.listener import Line

HERE = Path(__file__).parent
EXAMPLE = HERE / "static" / "example.flac"
TYPES = {str: "string", float: "number", bool: "boolean", int: "integer", types.NoneType: "null"}


@cache
def document() -> dict:
    """The description, with the example clip where its examples name it."""
    found = yaml.safe_load((HERE / "openapi.yaml").read_text(encoding="utf-8"))
    for name, made_of in (("Row", Row), ("Line", Line)):
        found["components"]["schemas"][name] |= _properties(made_of)
    return _with_clip(found, base64.b64encode(EXAMPLE.read_bytes()).decode())


def _properties(made_of: type) -> dict:
    fields = {field.name: [TYPES[kind] for kind in _kinds(field.type)] for field in dataclasses.fields(made_of)}
    return {"required": list(fields), "properties": {name: {"type": kinds} for name, kinds in fields.items()}}


def _kinds(annotation: type) -> tuple[type, ...]:
    return typing.get_args(annotation) or (annotation,)


def _with_clip(value: object, clip: str) -> object:
    if isinstance(value, dict):
        return {name: _with_clip(inner, clip) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_clip(inner, clip) for inner in value]
    return clip if value == "CLIP" else value
