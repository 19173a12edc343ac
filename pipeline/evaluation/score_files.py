"""Score files and keys of any system, read to the trials of an evaluation.

| scores | lines |
|---|---|
| ASVspoof 2021 (``eval-package`` of github.com/asvspoof-challenge/2021) | ``TRIAL SCORE`` |
| Speech DF Arena (``utils/metrics.py`` of github.com/Speech-Arena/speech_df_arena) | ``PATH SCORE`` |
| ASVspoof 2019 (the organisers' ``evaluate_tDCF_asvspoof19.py``) | ``TRIAL ATTACK KEY SCORE`` |
| ASVspoof 5 (``evaluation-package`` of github.com/asvspoof-challenge/asvspoof5) | header ``filename cm-score``, tabs |
| CSV or TSV | a header with a name of the trial and ``score`` |

Keys are the lists of these challenges, or a table with a name and a label (``file_name,label`` of Speech DF Arena,
``filename cm-label`` of ASVspoof 5). Trials are matched by name, or by the name of the file alone if no name matches.
"""

import csv
import math
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.common import tables
from pipeline.corpora import asvspoof5, asvspoof2019, asvspoof2021, listing
from pipeline.errors import CorpusError
from pipeline.metrics.tandem import AsvScores
from pipeline.store import manifest

TRIAL_NAMES = ("utteranceid", "trial", "filename", "file", "path", "source", "utterance", "id")
SCORE_NAMES = ("score", "cmscore")
"""Names (see ``tables.word``) of the columns of a score file with a header; the first that it has is taken."""
ASV_KEYS = tuple(AsvScores.__dataclass_fields__)
ASV_LIST = "trial_metadata.txt"
"""Keys of the verifier's trials of ASVspoof 2021, in the folder of its scores or in the one above."""
NAMES_SHOWN = 3


def read_scores(path: Path) -> dict[str, float]:
    """Score of each trial; raises ``CorpusError`` for a damaged line, and for a trial with two scores."""
    found: dict[str, float] = {}
    columns: tuple[int, int] | None = None
    for number, (line, place) in enumerate(listing.lines(_file(path))):
        separator = next((mark for mark in "\t," if mark in line), None)
        if number == 0 and (columns := _columns(_cells(line, separator), place)):
            continue
        if columns or separator:
            cells = _cells(line, separator)
            trial_at, score_at = columns or (0, -1)
            if len(cells) <= max(trial_at, score_at):
                raise CorpusError(f"{place}: {len(cells)} cells, too few for those of the header: {line!r}")
            trial, score = cells[trial_at], cells[score_at]
        else:
            trial, _, score = line.strip().rpartition(" ")
            of_2019 = trial.split()
            trial = of_2019[0] if len(of_2019) == 3 and of_2019[2] in listing.LABELS else trial.strip()
        if trial in found:
            raise CorpusError(f"{place}: {trial} has a score already; leave one line per trial")
        found[trial] = _number(score, f"{place}: the score of {trial or line.strip()!r}")
    if not found:
        raise CorpusError(f"{path}: holds no scores")
    return found


def read_keys(path: Path) -> pd.DataFrame:
    """Trials of a key file as a Manifest without recordings; ``split`` is the phase of 2021, else that of the file.

    Raises ``CorpusError`` for a damaged line, a trial listed twice, and a layout that is none of those known.
    """
    part = next((part for part in manifest.SUBSETS if f".{part}." in _file(path).name), "eval")
    first = "" if path.suffix in (".csv", ".parquet") else next(listing.lines(path), ("", ""))[0]
    if found := None if "\t" in first else _PROTOCOLS.get(len(first.split())):
        table = manifest.make(found(path, part), corpus=path.name)
        return table.assign(split=table.pop("phase")) if "phase" in table else table
    table = tables.load(path)
    table["split"] = table["split"].replace("", part) if "split" in table else part
    table["utterance_id"] = table["utterance_id"] if "utterance_id" in table else table["path"]
    # Another system's scores in the table are none of these.
    return manifest.make(table.drop(columns=["logit", "score"], errors="ignore"), corpus=path.name)


def scored(keys: pd.DataFrame, scores: dict[str, float], names: tuple[Path, Path]) -> pd.DataFrame:
    """Trials of the keys with their ``score``; a subset of which no trial has a score is left out.

    ``names`` are the files of scores and keys. Raises ``CorpusError`` for trials that are on one side only.
    """
    wanted = keys["utterance_id"]
    if not wanted.isin(scores.keys()).any():
        wanted, scores = wanted.map(_bare), _renamed(scores, names[0])
        if wanted.duplicated().any():
            raise CorpusError(
                f"{names[1]}: two trials are called {wanted[wanted.duplicated()].iloc[0]} without folders"
            )
    values = wanted.map(scores)
    used = values.notna().groupby(keys["split"]).transform("any")
    if missing := list(wanted[used & values.isna()]):
        raise CorpusError(
            f"{names[0]}: {len(missing)} of {int(used.sum())} trials of {names[1].name} have no score: "
            f"{_first(missing)}; score them too, or remove them from the keys"
        )
    known = set(wanted)
    if extra := [name for name in scores if name not in known]:
        raise CorpusError(
            f"{names[0]}: {len(extra)} of {len(scores)} trials are not in {names[1].name}: {_first(extra)}; "
            "check that both are of the same corpus"
        )
    table = keys[used].assign(score=values[used])
    for subset, labels in table.groupby("split")["label"]:
        if labels.nunique() < 2:
            raise CorpusError(f"{names[1]}: all trials of {subset} are {labels.iloc[0]}; the figures need both classes")
    return table.reset_index(drop=True)


def read_asv(path: Path, subset: str = "") -> AsvScores:
    """Scores of a verifier by class; lines hold the key (target, nontarget, spoof) and a score in any order.

    Those of ASVspoof 2021 have no key: it is taken from ``ASV_LIST``, line by line. If the lines name phases of 2021,
    only those of ``subset`` count. Raises ``CorpusError`` for a line without a key or a score.
    """
    found: dict[str, list[float]] = {key: [] for key in ASV_KEYS}
    scores, keys = list(listing.lines(_file(path))), None
    if scores and not set(scores[0][0].split()) & set(ASV_KEYS):
        beside = [folder / ASV_LIST for folder in (path.parent, path.parent.parent) if (folder / ASV_LIST).is_file()]
        if not beside:
            raise CorpusError(f"{scores[0][1]}: no {', '.join(ASV_KEYS)}, and no {ASV_LIST} beside it or one above")
        keys = [line.split() for line, _ in listing.lines(beside[0])]
        if len(keys) != len(scores):
            raise CorpusError(f"{path}: {len(scores)} scores for the {len(keys)} trials of {beside[0]}")
    for number, (line, place) in enumerate(scores):
        cells = line.split()
        about = keys[number] if keys else cells
        key = next((cell for cell in about if cell in ASV_KEYS), None)
        if key is None:
            raise CorpusError(f"{place}: names none of {', '.join(ASV_KEYS)}: {line!r}")
        phase = next((cell for cell in about if cell in asvspoof2021.PHASES), subset)
        if phase == subset:
            score = cells[-2] if cells[-1] == key else cells[-1]
            found[key].append(_number(score, f"{place}: the score of the verifier"))
    return AsvScores(*(np.array(found[key]) for key in ASV_KEYS))


def _of_2019(path: Path, part: str) -> Iterable[dict]:
    names = asvspoof2019.LA_ATTACKS | asvspoof2019.PA_ATTACKS
    row = partial(listing.row, split=part, conditions=("environment",), attack_names=names)
    return [row(entry, Path()) for entry in listing.entries(path, asvspoof2019.COLUMNS)]


def _of_2021(path: Path, part: str, track: str) -> Iterable[dict]:
    return [asvspoof2021.row(entry, Path(), track=track) for entry in asvspoof2021.entries(path, track)]


def _of_5(path: Path, part: str) -> Iterable[dict]:
    return [asvspoof5.row(entry, Path(), split=part) for entry in listing.entries(path, asvspoof5.COLUMNS)]


_PROTOCOLS = {
    len(asvspoof2019.COLUMNS): _of_2019,
    len(asvspoof2021.FIRST_RELEASE["PA"]): partial(_of_2021, track="PA"),
    len(asvspoof2021.LA): partial(_of_2021, track="LA"),
    len(asvspoof2021.PA): partial(_of_2021, track="PA"),
    len(asvspoof2021.DF): partial(_of_2021, track="DF"),
    len(asvspoof5.COLUMNS): _of_5,
}
"""Reader of the challenges' lists, by their number of columns."""


def _file(path: Path) -> Path:
    if not path.is_file():
        raise CorpusError(f"{path}: no such file")
    return path


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))] if separator else line.split()


def _columns(cells: list[str], place: str) -> tuple[int, int] | None:
    """Places of trial and score in a header; ``None`` for a line that is none."""
    words = [tables.word(cell) for cell in cells]
    trial, score = (next((n for n in names if n in words), None) for names in (TRIAL_NAMES, SCORE_NAMES))
    if score is None:
        return None
    if trial is None:
        raise CorpusError(f"{place}: no column of trials, such as filename or utterance_id: {', '.join(cells)}")
    return words.index(trial), words.index(score)


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CorpusError(f"{what} is {text!r}, which is no finite number")
    return value


def _bare(name: str) -> str:
    return listing.stem(os.path.basename(name))


def _renamed(scores: dict[str, float], path: Path) -> dict[str, float]:
    renamed = {_bare(name): score for name, score in scores.items()}
    if len(renamed) < len(scores):
        raise CorpusError(f"{path}: no trial has a name of the keys, and names without folders are not unique")
    return renamed


def _first(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
