"""Command lines generated from dataclasses: flags, ``--help``, presets, configuration files and exit statuses.

Commands with sections of ``Config`` take ``--preset`` and ``--config``. An empty value (``--epochs ''``, or ``epochs:``
in the file) means "not given": MLproject passes parameters this way that nobody set.
"""

import argparse
import dataclasses
import errno
import functools
import gc
import io
import math
import os
import signal
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args, get_origin

from pipeline.config import PRESETS, SECTIONS, Config, preset
from pipeline.errors import ConfigError, ProjectError

_AS_FLAG = "_as_flag"


def command(
    *,
    sections: Sequence[str] = (),
    options: type | None = None,
    default_preset: str = "default",
    with_given: bool = False,
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Make a function of ``(config, options)`` the command of its module: a ``main(argv=None)`` that returns a status.

    The first paragraph of the module's docstring opens ``--help``.

    Parameters
    ----------
    sections : names of the ``Config`` sections whose options the command takes.
    options : dataclass of the command's own options.
    default_preset : preset used when neither the command line nor the configuration file names one.
    with_given : also pass ``given``, the typed values as text by option name.
    """

    def decorate(body: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(body)
        def main(argv: Sequence[str] | None = None) -> int:
            module = sys.modules[body.__module__]
            name = module.__spec__.name.removesuffix(".__main__") if module.__spec__ else ""
            parsed = parse(
                module.__doc__.split("\n\n")[0],
                sections=sections,
                options=options,
                default_preset=default_preset,
                argv=argv,
                prog=f"python -m {name}" if name else None,
            )
            extra = {"given": parsed.given} if with_given else {}
            return body(parsed.config, parsed.options, **extra) or 0

        main.sections, main.options = sections, options
        return main

    return decorate


class Parsed(NamedTuple):
    """Command line: the resolved configuration, the command's own options, and the typed values by option name."""

    config: Config
    options: Any
    given: dict[str, Any]


def parse(
    description: str,
    *,
    sections: Sequence[str] = (),
    options: type | None = None,
    default_preset: str = "default",
    argv: Sequence[str] | None = None,
    prog: str | None = None,
) -> Parsed:
    """Read a command line; parameters as in ``command``. Exits with status 2 and one line for errors in values."""
    parser = build_parser(description, sections=sections, options=options, default_preset=default_preset, prog=prog)
    typed = vars(parser.parse_args(argv))
    for name in [n for n in typed if n.endswith(_AS_FLAG)]:
        typed[name.removesuffix(_AS_FLAG)] += typed.pop(name)
    given = {name: value for name, value in typed.items() if value not in ("", [], [""])}
    try:
        return Parsed(*resolve(given, sections, options, default_preset), given)
    except ConfigError as error:
        parser.error(str(error))


def build_parser(
    description: str,
    *,
    sections: Sequence[str],
    options: type | None,
    default_preset: str,
    prog: str | None = None,
) -> argparse.ArgumentParser:
    """Build the ``argparse`` parser of a command; every option appears in it, with its default."""
    parser = _Parser(prog=prog, description=description, allow_abbrev=False)
    if options:
        group = parser.add_argument_group("this command")
        for field in dataclasses.fields(options):
            _add(group, field, field.default)
    if sections:
        group = parser.add_argument_group("where settings come from")
        presets = f"{', '.join(PRESETS)} (default: {default_preset})"
        group.add_argument("--preset", default="", metavar="NAME", help=presets)
        file = "YAML file of options; overrides the preset, is overridden by flags"
        group.add_argument("--config", default="", metavar="FILE", help=file)
    for section in sections:
        cls = SECTIONS[section]
        group = parser.add_argument_group(section, description=(cls.__doc__ or "").strip())
        defaults = getattr(preset(default_preset), section)
        for field in dataclasses.fields(cls):
            _add(group, field, getattr(defaults, field.name))
    return parser


def option_names(sections: Sequence[str], options: type | None) -> list[str]:
    """Names of all options of a command, in the order of its help."""
    return [*_own_fields(options), *(("preset", "config") if sections else ()), *_fields(sections)]


def resolve(
    given: dict[str, Any], sections: Sequence[str], options: type | None, default_preset: str
) -> tuple[Config, Any]:
    """Resolve values in the order field default, preset, configuration file, command line."""
    from_file = _read_config_file(given["config"]) if given.get("config") else {}
    preset_of_file = from_file.pop("preset", None)
    config = preset(given.get("preset") or preset_of_file or default_preset)
    fields = _fields(SECTIONS)
    if unknown := sorted(set(from_file) - set(fields)):
        raise ConfigError(f"{given['config']}: unknown option {unknown[0]!r}; known: {', '.join(sorted(fields))}")
    try:
        config = config.replace(**{n: convert(fields[n], v) for n, v in from_file.items() if v is not None})
    except ConfigError as error:
        raise ConfigError(f"{given['config']}: {str(error).removeprefix('--')}") from None
    config = config.replace(**{n: convert(fields[n], v) for n, v in given.items() if n in _fields(sections)})
    own = _own_fields(options)
    return config, options and options(**{own[n].name: convert(own[n], v) for n, v in given.items() if n in own})


def _fields(sections: Iterable[str]) -> dict[str, dataclasses.Field]:
    return {field.name: field for section in sections for field in dataclasses.fields(SECTIONS[section])}


def _own_fields(options: type | None) -> dict[str, dataclasses.Field]:
    return {flag(field): field for field in dataclasses.fields(options)} if options else {}


def flag(field: dataclasses.Field) -> str:
    """Name of an option; the field of an option named like a Python keyword ends in an underscore (``from_``)."""
    return field.name.rstrip("_")


def convert(field: dataclasses.Field, value: object) -> object:
    """Convert a value to the type of its field; anything else raises ``ConfigError`` with option and value."""
    choices = field.metadata.get("choices") or ()
    if get_origin(field.type) is tuple:
        return tuple(str(v) for v in value if v != "")
    if _kind(field) is bool:
        allowed = {"true": True, "false": False} | {choice: choice for choice in choices}
        if str(value).lower() not in allowed:
            others = "".join(f", or {choice}" for choice in choices)
            raise ConfigError(f"--{field.name} {value!r}: expected true or false{others}")
        return allowed[str(value).lower()]
    try:
        result = _kind(field)(str(value))  # from its text, as int(2.7) is 2 and int(True) 1
    except ValueError:
        raise ConfigError(f"--{field.name} {value!r}: expected {_type_name(field)}") from None
    if isinstance(result, float) and not math.isfinite(result):
        raise ConfigError(f"--{field.name} {value!r}: expected a finite number")
    if (least := field.metadata.get("least")) is not None and result < least:
        raise ConfigError(f"--{field.name} {value!r}: expected {least:g} or more")
    given = [part.strip() for part in result.split(",")] if field.metadata.get("several") else [result]
    if choices and not set(given) <= set(choices):
        raise ConfigError(f"--{field.name} {value!r}: choose one of {', '.join(choices)}")
    return ",".join(given) if field.metadata.get("several") else result


def changed(config: Config, changes: Sequence[str], origin: str) -> Config:
    """Change options of a configuration, each given as ``option=value``; errors name ``origin``."""
    fields = _fields(SECTIONS)
    for change in changes:
        name, _, value = change.partition("=")
        if name not in fields:
            raise ConfigError(f"{origin}: unknown option {name!r}")
        config = config.replace(**{name: convert(fields[name], value)})
    return config


def run(main: Callable[[], int | None]) -> None:
    """Run a command's ``main`` and exit with its status.

    Prints a ``ProjectError``, or the error of a place that cannot be used, as one line and exits with status 2. Prints
    nothing if the reader of standard output has gone (``| head -1``).
    """
    _print_any_name()
    gc.set_threshold(20_000)  # by default, imports of TensorFlow and MLflow spend a seventh of their time on it
    try:
        status = main() or 0
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if not (remedy := _REMEDIES.get(error.errno)):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{os.strerror(error.errno)}; {remedy}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command resumes here", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def drop_output() -> None:
    """Discard standard output once its reader has gone: Python flushes it again at exit, which would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_REMEDIES = (
    dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space; the same command then resumes")
    | dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM),
        "give this user write access, or name another place (SPOOF_ARTIFACTS, --output, MLFLOW_TRACKING_URI)",
    )
    | dict.fromkeys(
        (errno.EEXIST, errno.EISDIR, errno.ENOTDIR),
        "a file is in place of a folder, or a folder in place of a file; name another place",
    )
    | {errno.ENAMETOOLONG: "shorten it"}
)
"""Remedies by error number of the system."""


def _print_any_name() -> None:
    """Make standard output and error print file names that are not Unicode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one line; argparse prints the usage, dozens of options long, before them."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def _add(group: argparse._ArgumentGroup, field: dataclasses.Field, default: object) -> None:
    choices = field.metadata.get("choices") or ()
    about = field.metadata["help"].replace("%", "%%")
    if get_origin(field.type) is tuple:
        group.add_argument(field.name, nargs="*", default=[], metavar=field.name.upper(), help=about)
        as_flag = {"dest": field.name + _AS_FLAG, "metavar": "PATH", "help": "the same, as a flag"}
        group.add_argument(f"--{field.name}", action="append", default=[], **as_flag)
        return
    shown = str(default).lower() if isinstance(default, bool) else default
    note = "" if shown in ("", None) else f" (default: {shown})"
    allowed = f" [{', '.join(choices)}]" if choices else ""
    bare = {"nargs": "?", "const": "true"} if _kind(field) is bool else {}
    group.add_argument(
        f"--{flag(field)}", default="", metavar=_type_name(field).upper(), help=f"{about}{allowed}{note}", **bare
    )


def _kind(field: dataclasses.Field) -> type:
    """Type of an option's value; ``float`` for ``float | None``, ``bool`` for ``bool | str``."""
    return get_args(field.type)[0] if isinstance(field.type, types.UnionType) else field.type


def _type_name(field: dataclasses.Field) -> str:
    return {str: "text", int: "int", float: "number", bool: "bool"}[_kind(field)]


def _read_config_file(path: str) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"--config {path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"--config {path}: expected 'option: value' lines, found {type(values).__name__}")
    return values
