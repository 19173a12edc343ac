"""Splits: which utterances of a Manifest are train, dev and eval."""

import numpy as np
import pandas as pd

from pipeline.config import SPOOF
from pipeline.errors import CorpusError
from pipeline.store.manifest import SUBSETS

EVALUATION_ALONE = ("asvspoof2021_df", "asvspoof2021_la", "asvspoof2021_pa")
"""Corpora whose official split is all eval."""
EVAL_SHARE = 0.2
DEV_SHARE = 0.2
"""Share of the speakers that the evaluation subset takes, and of the rest that dev takes."""


def resolve(table: pd.DataFrame, split_by: str, *, otherwise: str = "speaker") -> str:
    """What ``auto`` means for this Manifest; ``official`` raises ``CorpusError`` where the corpus has no splits.

    A corpus has an official split when each of its utterances is in one and all three subsets have some, or when it is
    evaluation data alone; without one ``auto`` means ``otherwise``. Where that differs between joined corpora the
    answer names each: ``asvspoof2017=official,folder=speaker``.
    """
    found = {corpus: _resolve(own, split_by, otherwise) for corpus, own in table.groupby("corpus", sort=False)}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ",".join(f"{corpus}={how}" for corpus, how in found.items())


def _resolve(table: pd.DataFrame, split_by: str, otherwise: str) -> str:
    corpus, splits = table["corpus"].iat[0], set(table["split"].unique())
    official = "" not in splits and (set(SUBSETS) <= splits or corpus in EVALUATION_ALONE)
    if split_by == "auto":
        return "official" if official else otherwise
    if split_by == "official" and not official:
        found = ", ".join(sorted(splits - {""})) or "none"
        raise CorpusError(
            f"{corpus}: split_by=official needs train, dev and eval; the utterances read have {found}. "
            "Read all parts, or choose split_by=speaker"
        )
    return split_by


def assign(table: pd.DataFrame, split_by: str, *, seed: int) -> pd.DataFrame:
    """A copy with ``split`` set: ``official`` keeps it, ``speaker`` and ``stratified`` draw it, in each corpus alone.

    ``speaker`` puts no speaker in two subsets and keeps the share of spoof close in each; utterances of unknown
    speaker are refused, as they could be anyone. ``stratified`` draws clips at random within each label, so speakers
    leak between subsets. Each takes 20 % for eval and 20 % of the rest for dev. ``none`` makes all of it eval. Equal
    audio (``sha256``) always follows its first occurrence in the corpus.
    """
    each = dict(part.split("=") for part in split_by.split(",")) if "=" in split_by else {}
    corpora = table.groupby("corpus", sort=False)
    return pd.concat([_assign(own, each.get(name, split_by), seed) for name, own in corpora]).sort_index()


def _assign(table: pd.DataFrame, split_by: str, seed: int) -> pd.DataFrame:
    if split_by == "official":
        return table.copy()
    if split_by == "none":
        return table.assign(split="eval")
    if split_by == "speaker" and (table["speaker"] == "").any():
        row = table[table["speaker"] == ""].iloc[0]
        raise CorpusError(
            f"{row['path']}: its speaker is unknown, so split_by=speaker cannot keep speakers apart. "
            "Name speakers in the corpus, choose split_by=stratified, which leaks, or split_by=none to evaluate on "
            "the whole corpus"
        )
    units = table["speaker"] if split_by == "speaker" else table["utterance_id"]
    rng = np.random.default_rng(seed)
    spoof = (table["label"] == SPOOF).groupby(units).agg(["sum", "size"])
    split = pd.Series("train", index=spoof.index)
    eval_units = _draw(spoof, EVAL_SHARE, rng)
    split[eval_units] = "eval"
    split[_draw(spoof.drop(eval_units), DEV_SHARE, rng)] = "dev"
    result = table.assign(split=units.map(split).to_numpy())
    if "sha256" in result and (result["sha256"] != "").all():
        result["split"] = result.groupby("sha256")["split"].transform("first")
    return result


def _draw(units: pd.DataFrame, share: float, rng: np.random.Generator) -> list[str]:
    """Units, in random order, whose clips of each label come closest to ``share`` of that label without passing it."""
    spoof = units["sum"].to_numpy(dtype=float)
    counts = np.stack([spoof, units["size"].to_numpy(dtype=float) - spoof], axis=1)  # (units, labels)
    room = counts.sum(axis=0) * share
    drawn = []
    for index in rng.permutation(len(units)):
        if (counts[index] <= room + 0.5).all():
            drawn.append(units.index[index])
            room = room - counts[index]
    return drawn
