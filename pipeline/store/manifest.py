"""The Manifest: a pandas table of one row per utterance, returned by every corpus reader and used by every later stage.

Columns, all text unless said otherwise: ``utterance_id`` (unique), ``path`` (absolute), ``label`` (bonafide | spoof),
``split`` (train | dev | eval | ""), ``speaker``, ``attack`` ("-" for bonafide), ``attack_name`` (readable), ``corpus``,
then one column per condition that the corpus knows (``phrase``, ``playback``, ``codec``, ``language`` …), and those of
``segments`` if the corpus knows which parts of its recordings are spoofed.
Preprocessing adds ``duration_s`` (float), ``sha256`` (of the decoded samples), their place in the Store (``shard``,
``position``), its ``speech`` (``audio.speech.Speech`` as text) and the format of the file (``FILE_COLUMNS``). Unknown
is "", never a guess.
"""

import fnmatch
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.config import BONAFIDE, SPOOF
from pipeline.errors import CorpusError
from pipeline.store import segments

LABELS = (BONAFIDE, SPOOF)
SUBSETS = ("train", "dev", "eval")
COLUMNS = ("utterance_id", "path", "label", "split", "speaker", "attack", "attack_name", "corpus")
FILE_COLUMNS = ("file_format", "file_rate_hz", "file_channels", "file_kbit_s")
DECODED_COLUMNS = ("duration_s", "sha256", "shard", "position", "speech", *FILE_COLUMNS)
PREFIXED = ("utterance_id", "speaker", "attack")
"""Columns whose values begin with the name of the corpus in a joined Manifest."""


@dataclass(frozen=True)
class Rejected:
    """A recording that is left out, and the reason listed for it; the summary counts reasons, or kinds if given."""

    path: str
    reason: str
    kind: str = ""


def make(rows: Iterable[dict] | pd.DataFrame, *, corpus: str, rejected: Sequence[Rejected] = ()) -> pd.DataFrame:
    """Checked Manifest of rows that have at least ``path`` and ``label``.

    Missing columns become "", ``attack`` of bonafide becomes "-", a missing ``utterance_id`` the path. Raises
    ``CorpusError`` naming the row for a label, split or identifier that is not allowed, or, if there are no rows, the
    reasons of ``rejected``.
    """
    table = pd.DataFrame(rows)
    if table.empty:
        raise CorpusError(f"corpus {corpus}: no utterances found{reasons(rejected)}")
    for column in ("path", "label"):
        if column not in table:
            raise CorpusError(f"corpus {corpus}: column {column!r} is missing; found {', '.join(table.columns)}")
    table["corpus"] = corpus
    table["utterance_id"] = table["utterance_id"] if "utterance_id" in table else table["path"]
    for column in COLUMNS:
        if column not in table:
            table[column] = ""
    if replaced := [c for c in table.columns if c in DECODED_COLUMNS]:
        print(f"warning: {corpus}: preprocessing fills {', '.join(replaced)} itself; rename to keep", file=sys.stderr)
    extra = [c for c in table.columns if c not in COLUMNS and c not in replaced]
    table = table[[*COLUMNS, *extra]].fillna("").astype(str)
    table.loc[table["label"] == BONAFIDE, ["attack", "attack_name"]] = "-", ""
    check(table)
    return table.reset_index(drop=True)


def reasons(rejected: Sequence[Rejected]) -> str:
    """Most common kinds of rejections, each with its count and the reason and path of the first."""
    counts = Counter(each.kind or each.reason for each in rejected).most_common(3)
    firsts = [next(each for each in rejected if kind in (each.kind, each.reason)) for kind, _ in counts]
    return "".join(f"; {n} {first.reason}: {first.path}" for (_, n), first in zip(counts, firsts, strict=True))


def join(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join Manifests by name; ``corpus`` becomes that name, which also prefixes utterance, speaker and attack.

    A condition that a corpus does not know is "" in its rows.
    """
    named = []
    for name, table in tables.items():
        prefixed = {c: table[c].where(table[c].isin(("", "-")), f"{name}/" + table[c]) for c in PREFIXED}
        named.append(table.assign(corpus=name, **prefixed))
    joined = pd.concat(named, ignore_index=True).fillna("")
    check(joined)
    return joined


def check(table: pd.DataFrame) -> None:
    """Raise ``CorpusError`` for the first row whose label, split, identifier or spoofed segments are not allowed."""
    for column, allowed in (("label", LABELS), ("split", (*SUBSETS, ""))):
        wrong = table[~table[column].isin(allowed)]
        if len(wrong):
            row = wrong.iloc[0]
            raise CorpusError(
                f"{row['path']}: {column} {row[column]!r} is none of {', '.join(repr(a) for a in allowed)}"
            )
    doubled = table[table["utterance_id"].duplicated()]
    if len(doubled):
        raise CorpusError(f"utterance_id {doubled.iloc[0]['utterance_id']!r} occurs more than once")
    segments.check(table)


def conditions(table: pd.DataFrame) -> list[str]:
    """Names of the condition columns: those with several values that cover two utterances or more on average.

    Columns of names or transcripts make no groups. The corpus is a condition of a joined Manifest.
    """
    fixed = {*COLUMNS, *DECODED_COLUMNS, *segments.COLUMNS} - {"corpus"}
    return [c for c in table.columns if c not in fixed and 1 < table[c].nunique() <= len(table) / 2]


def generators(table: pd.DataFrame) -> pd.Series:
    """What made each utterance, as source tracing names it: the readable name of the attack, else the attack.

    Readable names that begin with "replay", as in ``demo`` and ``voices``, all become ``replay``, whatever the
    loudspeaker and the room; replays of ASVspoof keep the corpus' attacks. Bonafide and unknown attacks are "".
    """
    made = table["attack_name"].where(table["attack_name"] != "", table["attack"].replace("-", ""))
    return made.mask(made.str.startswith("replay"), "replay")


def matching(attacks: pd.Series, patterns: str) -> pd.Series:
    """True for attacks that match one of the comma-separated shell patterns, such as ``E01-*``."""
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    names = [name for name in attacks.unique() if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)]
    return attacks.isin(names)
