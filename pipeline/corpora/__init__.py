"""Readers of corpora: each turns a folder on disk into rows of a Manifest and a list of what is left out, and why."""

import dataclasses
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pandas as pd

from pipeline.config import CorpusConfig
from pipeline.errors import ConfigError, CorpusError
from pipeline.store import manifest
from pipeline.store.manifest import SUBSETS, Rejected

READERS = {
    "add2023": ("pipeline.corpora.add2023",),
    "asvspoof2017": ("pipeline.corpora.asvspoof2017",),
    "asvspoof2019_la": ("pipeline.corpora.asvspoof2019", "LA"),
    "asvspoof2019_pa": ("pipeline.corpora.asvspoof2019", "PA"),
    "asvspoof2021_df": ("pipeline.corpora.asvspoof2021", "DF"),
    "asvspoof2021_la": ("pipeline.corpora.asvspoof2021", "LA"),
    "asvspoof2021_pa": ("pipeline.corpora.asvspoof2021", "PA"),
    "asvspoof5": ("pipeline.corpora.asvspoof5",),
    "codecfake": ("pipeline.corpora.codecfake",),
    "deepfake_eval_2024": ("pipeline.corpora.deepfake_eval_2024",),
    "demo": ("pipeline.corpora.demo",),
    "dfadd": ("pipeline.corpora.dfadd",),
    "fake_or_real": ("pipeline.corpora.fake_or_real",),
    "folder": ("pipeline.corpora.folder",),
    "in_the_wild": ("pipeline.corpora.in_the_wild",),
    "librisevoc": ("pipeline.corpora.librisevoc",),
    "mlaad": ("pipeline.corpora.mlaad",),
    "odss": ("pipeline.corpora.odss",),
    "partialspoof": ("pipeline.corpora.partialspoof",),
    "replaydf": ("pipeline.corpora.replaydf",),
    "spoofceleb": ("pipeline.corpora.spoofceleb",),
    "synthetic": ("pipeline.corpora.synthetic",),
    "table": ("pipeline.corpora.table",),
    "voices": ("pipeline.corpora.voices",),
    "wavefake": ("pipeline.corpora.wavefake",),
}
"""Module that reads each corpus, and further arguments of its ``read``."""
BUILT = ("demo", "synthetic", "voices")
"""Corpora that are made on the user's machine if no ``data_dir`` is given."""


def apart(config: CorpusConfig) -> dict[str, CorpusConfig]:
    """Configuration of each joined corpus, with its folder, by its name in the joined Manifest.

    Raises ``ConfigError`` unless there are as many folders as corpora.
    """
    names = [name.strip() for name in config.corpus.split(",")]
    if len(names) == 1:
        return {config.corpus: config}
    places = [place.strip() for place in config.data_dir.split(",")] if config.data_dir else [""] * len(names)
    if len(places) != len(names):
        raise ConfigError(
            f"--data_dir {config.data_dir!r}: {len(places)} places for the {len(names)} corpora of --corpus "
            f"{config.corpus!r}; give one for each, comma separated, empty for demo, synthetic and voices"
        )
    found: dict[str, CorpusConfig] = {}
    for name, place in zip(names, places, strict=True):
        times = 1 + sum(own.corpus == name for own in found.values())
        key = name if times == 1 else f"{name}_{times}"
        found[key] = dataclasses.replace(config, corpus=name, data_dir=place)
    return found


def together(configs: Mapping[str, CorpusConfig]) -> CorpusConfig:
    """Configuration that joins corpora: the inverse of ``apart``."""
    first = next(iter(configs.values()))
    if len(configs) == 1:
        return first
    names, places = zip(*((own.corpus, own.data_dir) for own in configs.values()), strict=True)
    return dataclasses.replace(first, corpus=",".join(names), data_dir=",".join(places) if any(places) else "")


def read(config: CorpusConfig) -> tuple[pd.DataFrame, list[Rejected]]:
    """Manifest of the configured corpus, or of several joined, and the recordings that are left out.

    In a joined Manifest utterances, speakers and attacks begin with the name of their corpus (``asvspoof2019_la/A07``),
    because each corpus has its own names: A05 of ASVspoof 5 is not A05 of 2019. Raises ``CorpusError`` for a folder
    that is missing or has another layout than its reader needs.
    """
    parts = _parts(config.parts)
    if parts == ("eval",) and config.split_by in ("speaker", "stratified"):
        print(
            "warning: train and dev are drawn from the eval part; what is trained compares with no published result",
            file=sys.stderr,
        )
    tables, rejected = {}, []
    for name, own in apart(config).items():
        tables[name], left = _read(own, parts)
        rejected += left
        labels = set(tables[name]["label"])
        if labels != set(manifest.LABELS):
            print(
                f"warning: {name} holds only {labels.pop()}; join it with a corpus of both (calibrate needs one)",
                file=sys.stderr,
            )
    table = manifest.join(tables) if len(tables) > 1 else tables.popitem()[1]
    return table, rejected


def _read(config: CorpusConfig, parts: tuple[str, ...]) -> tuple[pd.DataFrame, list[Rejected]]:
    module, *arguments = READERS[config.corpus]
    reader = import_module(module)
    if config.data_dir:
        place = Path(config.data_dir).expanduser().resolve()
        if not place.exists():
            raise CorpusError(f"--data_dir {config.data_dir}: no such file or folder")
    elif config.corpus in BUILT:
        place = reader.ensure()
    else:
        raise CorpusError(f"corpus={config.corpus} needs --data_dir, the folder of its recordings")
    if ascii(str(place)).count("\\udc"):
        raise CorpusError(f"{str(place)!a}: the name of the folder is not UTF-8 text; rename it")
    arguments += [config.label_one] if config.corpus == "table" else []
    rows, rejected = reader.read(place, parts or SUBSETS, *arguments)
    return manifest.make(rows, corpus=config.corpus, rejected=rejected), rejected


def _parts(given: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in given.split(",") if part.strip())
    unknown = [part for part in parts if part not in SUBSETS]
    if unknown:
        raise CorpusError(f"--parts {given!r}: {unknown[0]!r} is none of {', '.join(SUBSETS)}")
    return parts
