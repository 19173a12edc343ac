"""Splits of a Manifest into train, dev and eval."""

import sys

import numpy as np
import pandas as pd

from pipeline.config import SPOOF
from pipeline.errors import CorpusError
from pipeline.store.manifest import SUBSETS

SHARES = {"eval": 0.2, "dev": 0.2}
"""Share of each label's clips that eval takes, and of the rest that dev takes."""
FILLED = "official+"
"""Prefix of a split that keeps the given dev or eval; the split it prefixes draws the missing one from train."""


def resolve(table: pd.DataFrame, split_by: str, *, otherwise: str = "speaker") -> str:
    """Split that ``auto`` means for this Manifest; ``official`` raises ``CorpusError`` if the corpus has no splits.

    A corpus has an official split if every utterance has a subset, and either no subset is empty or train is. If it
    gives only dev or eval, the other is drawn from train: ``official+speaker``, or ``official+stratified``, with a
    warning, if a speaker is unknown. If it gives neither, ``auto`` means ``otherwise``. If joined corpora differ, the
    answer names each: ``asvspoof2017=official,folder=speaker``. A split by speaker of unknown speakers raises as in
    ``assign``, before anything is decoded.
    """
    found = {}
    for corpus, own in table.groupby("corpus", sort=False):
        found[corpus] = _resolve(own, split_by, otherwise)
        _check_speakers(own, found[corpus])
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ",".join(f"{corpus}={how}" for corpus, how in found.items())


def _resolve(table: pd.DataFrame, split_by: str, otherwise: str) -> str:
    corpus, splits = table["corpus"].iat[0], set(table["split"].unique())
    if split_by not in ("auto", "official"):
        return split_by
    if splits & {*SHARES}:
        if "" not in splits and (set(SUBSETS) <= splits or "train" not in splits):
            return "official"
        missing = " and ".join(subset for subset in SHARES if subset not in splits)
        if not missing or (table.loc[~table["split"].isin([*SHARES]), "speaker"] != "").all():
            return f"{FILLED}speaker"
        print(f"warning: {corpus}: {missing} is drawn from train at random, as speakers are unknown", file=sys.stderr)
        return f"{FILLED}stratified"
    if split_by == "auto":
        return otherwise
    found = ", ".join(sorted(splits - {""})) or "none"
    raise CorpusError(
        f"{corpus}: split_by=official needs dev or eval; the utterances read have {found}. Read all parts, or choose "
        "split_by=speaker"
    )


def leaks(split_by: str) -> bool:
    """Whether a resolved split draws a subset clip by clip, in any of joined corpora, so that speakers leak."""
    return "stratified" in split_by


def assign(table: pd.DataFrame, split_by: str, *, seed: int) -> pd.DataFrame:
    """Copy of a Manifest with ``split`` set, corpus by corpus.

    ``official`` keeps the splits. ``speaker`` puts no speaker in two subsets and keeps the share of spoof close in
    each; utterances of unknown speaker are refused, as they could be anyone. ``stratified`` draws clips at random
    within each label, so speakers leak between subsets. Both draw 20 % for eval and 20 % of the rest for dev, at least
    one; after ``official+`` only the missing subset, and only from train. ``none`` makes everything eval. Equal audio
    (``sha256``) follows its first occurrence in the corpus.
    """
    each = dict(part.split("=") for part in split_by.split(",")) if "=" in split_by else {}
    corpora = table.groupby("corpus", sort=False)
    return pd.concat([_assign(own, each.get(name, split_by), seed) for name, own in corpora]).sort_index()


def _assign(table: pd.DataFrame, split_by: str, seed: int) -> pd.DataFrame:
    if split_by == "official":
        return table.copy()
    if split_by == "none":
        return table.assign(split="eval")
    _check_speakers(table, split_by)
    kept = _kept(table, split_by)
    pool, held_out = table[~kept], set(table["split"][kept])
    units = pool["speaker"] if split_by.endswith("speaker") else pool["utterance_id"]
    rng = np.random.default_rng(seed)
    spoof = (pool["label"] == SPOOF).groupby(units).agg(["sum", "size"])
    split = pd.Series("train", index=spoof.index)
    for subset in (name for name in SHARES if name not in held_out):
        split[_draw(spoof[split == "train"], SHARES[subset], rng)] = subset
    result = pool.assign(split=units.map(split).to_numpy())
    if "sha256" in result and (result["sha256"] != "").all():
        result["split"] = result.groupby("sha256")["split"].transform("first")
    return pd.concat([table[kept], result]).sort_index()


def _kept(table: pd.DataFrame, split_by: str) -> pd.Series:
    """True for utterances whose dev or eval a drawn split keeps, bool ``[utterances]``."""
    return table["split"].isin([*SHARES]) & split_by.startswith(FILLED)


def _check_speakers(table: pd.DataFrame, split_by: str) -> None:
    """Raise ``CorpusError`` if the split draws speakers and one is unknown."""
    if not split_by.endswith("speaker"):
        return
    unknown = table[(table["speaker"] == "") & ~_kept(table, split_by)]
    if len(unknown):
        raise CorpusError(
            f"{unknown['path'].iat[0]}: its speaker is unknown, so split_by=speaker cannot keep speakers apart. "
            "Name speakers in the corpus, choose split_by=stratified, which leaks, or split_by=none to evaluate on "
            "the whole corpus"
        )


def _draw(units: pd.DataFrame, share: float, rng: np.random.Generator) -> list[str]:
    """Random units whose clips of each label come close to ``share`` of that label without exceeding it.

    At least one, if there are several.
    """
    spoof = units["sum"].to_numpy(dtype=float)
    counts = np.stack([spoof, units["size"].to_numpy(dtype=float) - spoof], axis=1)  # (units, labels)
    room = counts.sum(axis=0) * share
    drawn = []
    for index in rng.permutation(len(units)):
        if (counts[index] <= room + 0.5).all():
            drawn.append(units.index[index])
            room = room - counts[index]
    if not drawn and len(units) > 1:
        return [units.index[counts.sum(axis=1).argmin()]]
    return drawn
