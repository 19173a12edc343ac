"""How sure the figures of merit are: 95 % intervals from a bootstrap over speakers, of one system or of two.

Each resample draws as many groups (speakers) as there are, with replacement; one that lacks a class is drawn again.
A resample is nothing but a whole-number weight for each trial, so all of them share one sort of the scores, and
trials of one class without one of the other between them are counted together. Figures that are sums over trials
are sums over groups.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline import metrics
from pipeline.metrics import MetricError

INTERVAL = (0.025, 0.975)
_BATCH_WEIGHTS = 200_000
"""Weights held at a time: few enough to stay in the cache."""
_ROUNDS = 10
"""Times that resamples without a class are drawn again before the interval rests on fewer."""

Interval = tuple[float, float]


def intervals(
    scores: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    names: Sequence[str] = ("eer", "auc", "min_dcf", "act_dcf", "cllr"),
    threshold: float = 0.0,
    logits: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % percentile interval of each named figure of ``metrics.summary``.

    Parameters
    ----------
    scores, labels : ``[trials]``; labels are true for bonafide.
    groups : name of each trial's group ``[trials]``, of any type that sorts; without them every trial is its own.
    names : figures wanted.
    threshold : of accuracy, precision, recall and f1, on scores.
    logits : of the loss, ``[trials]``.

    Raises ``MetricError`` where there is a single group, or where no resample holds both classes.
    """
    system = _System.of(scores, labels, groups, threshold, logits)
    values = _resampled([system], groups, len(labels), names, resamples, seed)[0]
    return {name: _interval(values[name]) for name in names}


def eer_interval(
    scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """The interval of the EER alone, see ``intervals``; of the mean EER for ``[runs, trials]`` of several trainings."""
    systems = [_System.of(run, labels, groups) for run in np.atleast_2d(scores)]
    drawn = _resampled(systems, groups, len(labels), ("eer",), resamples, seed)
    return _interval(np.mean([own["eer"] for own in drawn], axis=0))


def eer_difference(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """EER of one system minus that of another on the same trials, and its 95 % interval.

    A paired bootstrap: each resample measures both systems on the same draw, so what is hard for both cancels out.

    Parameters
    ----------
    first, second : scores ``[trials]`` of a system, or ``[runs, trials]`` of several trainings of it, whose mean EER
        is compared.

    Raises ``MetricError`` as ``intervals`` does.
    """
    runs = [np.atleast_2d(system) for system in (first, second)]
    systems = [_System.of(scores, labels, groups) for scores in (*runs[0], *runs[1])]
    drawn = _resampled(systems, groups, len(labels), ("eer",), resamples, seed)
    values = [own["eer"] for own in drawn]
    means = [np.mean(part, axis=0) for part in (values[: len(runs[0])], values[len(runs[0]) :])]
    found = [np.mean([metrics.eer(scores, labels) for scores in system]) for system in runs]
    return float(found[0] - found[1]), *_interval(means[0] - means[1])


@dataclass(frozen=True)
class _System:
    """The trials of one system by group, ready to be weighted.

    ``counts`` is sparse ``[runs, groups]``: trials of each group in each run, a run being sorted neighbours of one
    class; ``bonafide`` says which class ``[runs]``, ``tied`` marks bonafide runs that share their score with the spoof
    run behind them. ``sums`` ``[groups, figures]`` holds what adds up over trials, named by ``_SUMS``.
    """

    counts: "scipy.sparse.csr_array"  # noqa: F821
    bonafide: np.ndarray
    tied: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(
        cls,
        scores: np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray | None,
        threshold: float = 0.0,
        logits: np.ndarray | None = None,
    ) -> "_System":
        from scipy.sparse import csr_array

        scores, labels = metrics.checked(scores, labels)
        member, count = _members(groups, len(labels))
        order = np.lexsort((~labels, scores))  # bonafide before spoof where they tie, as the challenge sorts
        bonafide, ordered = labels[order], scores[order]
        # A tie of both classes is a run of each of its own, as its trials cannot be told apart.
        block = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
        mixed = np.isin(block, np.intersect1d(block[bonafide], block[~bonafide]))
        begins = bonafide[1:] != bonafide[:-1]
        begins |= (block[1:] != block[:-1]) & (mixed[1:] | mixed[:-1])
        run = np.cumsum(np.r_[False, begins])
        counts = csr_array((np.ones(len(run)), (run, member[order])), shape=(run[-1] + 1, count))
        first = np.flatnonzero(np.r_[True, begins])
        losses = np.zeros(len(labels)) if logits is None else np.logaddexp(0, np.where(labels, -logits, logits))
        parts = {
            "genuine": labels,
            "spoof": ~labels,
            "bayes_missed": labels & (scores < metrics.BAYES_THRESHOLD),
            "bayes_accepted": ~labels & (scores >= metrics.BAYES_THRESHOLD),
            "missed": labels & (scores < threshold),
            "accepted": ~labels & (scores >= threshold),
            "genuine_bits": labels * np.logaddexp(0, -scores) / np.log(2),
            "spoof_bits": ~labels * np.logaddexp(0, scores) / np.log(2),
            "loss": losses,
        }
        sums = np.stack([np.bincount(member, part, count) for part in parts.values()], axis=1)
        return cls(counts, bonafide[first], mixed[first] & bonafide[first], sums)


_SUMS = (
    *("genuine", "spoof", "bayes_missed", "bayes_accepted", "missed", "accepted"),
    *("genuine_bits", "spoof_bits", "loss"),
)


def _members(groups: np.ndarray | None, trials: int) -> tuple[np.ndarray, int]:
    """Number of each trial's group, and how many groups there are."""
    if groups is None:
        return np.arange(trials), trials
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    return member, len(names)


def _resampled(
    systems: Sequence[_System],
    groups: np.ndarray | None,
    trials: int,
    names: Sequence[str],
    resamples: int,
    seed: int,
) -> list[dict[str, np.ndarray]]:
    """Each figure ``[resamples]`` of each system, the same resamples for all."""
    count = _members(groups, trials)[1]
    if count < 2:
        raise MetricError("an interval needs at least two groups, and all trials are of one")
    batch = max(1, min(resamples, _BATCH_WEIGHTS // max(count, *(len(s.bonafide) for s in systems))))
    values: list[dict[str, list[np.ndarray]]] = [{name: [] for name in names} for _ in systems]
    found = 0
    with _blas().limit(limits=1, user_api="blas"):
        for weights in _ahead(_draws(count, batch, -(-resamples // batch), seed)):
            sums = [dict(zip(_SUMS, (weights @ system.sums).T, strict=True)) for system in systems]
            both = (sums[0]["genuine"] > 0) & (sums[0]["spoof"] > 0)
            for own, system, parts in zip(values, systems, sums, strict=True):
                kept = {name: part[both] for name, part in parts.items()}
                for name, figure in _figures(system, weights[both], kept, names).items():
                    own[name].append(figure)
            found += both.sum()
            if found >= resamples:
                break
    if not found:
        raise MetricError("no resample of the groups holds both classes, so the interval is not defined")
    return [{name: np.concatenate(parts)[:resamples] for name, parts in own.items()} for own in values]


@cache
def _blas() -> "threadpoolctl.ThreadpoolController":  # noqa: F821
    """Its threads would wait for each other, and for the one that draws, longer than these products take."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _draws(count: int, batch: int, batches: int, seed: int) -> Iterator[np.ndarray]:
    """Weights ``[batch, groups]`` of resample after resample, some more than asked for."""
    rng = np.random.default_rng(seed)
    for _ in range(_ROUNDS * batches):
        drawn = rng.integers(count, size=(batch, count), dtype=np.int32) + count * np.arange(batch)[:, None]
        yield np.bincount(drawn.ravel(), minlength=batch * count).reshape(batch, count).astype(np.float64)


def _ahead(items: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The items, each made while the one before it is worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def _figures(
    system: _System, weights: np.ndarray, sums: dict[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Named figures ``[resamples]`` of resamples that hold both classes."""
    genuine, spoof = sums["genuine"], sums["spoof"]
    found = {name: figure(sums) for name, figure in _ADDED.items() if name in names}
    if {"eer", "auc", "min_dcf"} & set(names):
        runs = system.counts @ weights.T  # (runs, resamples)
        passed = np.cumsum(runs, axis=0)
        missed = np.cumsum(np.where(system.bonafide[:, None], runs, 0.0), axis=0)
        rejected = passed - missed
        if "eer" in names:
            found["eer"] = _eer(runs, missed, rejected, system.bonafide)
        if "min_dcf" in names:
            accepted = np.vstack([np.zeros(len(genuine)), rejected])
            missing = np.vstack([np.zeros(len(genuine)), missed])
            found["min_dcf"] = metrics.normalised_cost(missing / genuine, 1 - accepted / spoof).min(axis=0)
        if "auc" in names:
            below = rejected[system.bonafide].copy()  # (bonafide runs, resamples)
            tied = np.flatnonzero(system.tied)
            below[system.tied[system.bonafide]] += runs[tied + 1] / 2
            found["auc"] = (runs[system.bonafide] * below).sum(axis=0) / (genuine * spoof)
    return found


def _eer(runs: np.ndarray, missed: np.ndarray, rejected: np.ndarray, bonafide: np.ndarray) -> np.ndarray:
    """EER of each resample, from trials ``[runs, resamples]`` and how many are missed and rejected up to each run.

    All are whole numbers. The gap (miss − false alarm) · genuine · spoof only rises from run to run, so it is smallest
    inside the run, or at the ends of it, where its sign turns.
    """
    genuine, spoof = missed[-1], rejected[-1]  # (resamples,)
    gap = missed * spoof + rejected * genuine - genuine * spoof  # (runs, resamples)
    turn = np.sum(gap < 0, axis=0)
    at, inside = (np.maximum(turn - 1, 0), np.arange(len(turn))), turn > 0
    before = np.where(inside, gap[at], -genuine * spoof)
    earlier = np.where(inside, missed[at], 0.0)
    step = np.where(bonafide[turn], spoof, genuine)
    copies = (step - 1 - 2 * before) // (2 * step)  # trials up to the nearest point, the first of two equally near
    nearest = before + copies * step
    # With miss m and gap d, the false alarm is m − d and the mean of both m − d / 2.
    return (earlier + bonafide[turn] * copies) / genuine - nearest / (genuine * spoof) / 2


def _called_bonafide(sums: dict[str, np.ndarray]) -> np.ndarray:
    return sums["genuine"] - sums["missed"] + sums["accepted"]


_ADDED: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    "act_dcf": lambda s: metrics.normalised_cost(s["bayes_missed"] / s["genuine"], s["bayes_accepted"] / s["spoof"]),
    "cllr": lambda s: (s["genuine_bits"] / s["genuine"] + s["spoof_bits"] / s["spoof"]) / 2,
    "loss": lambda s: s["loss"] / (s["genuine"] + s["spoof"]),
    "accuracy": lambda s: 1 - (s["missed"] + s["accepted"]) / (s["genuine"] + s["spoof"]),
    "precision": lambda s: (s["genuine"] - s["missed"]) / np.maximum(_called_bonafide(s), 1),
    "recall": lambda s: 1 - s["missed"] / s["genuine"],
    "f1": lambda s: 2 * (s["genuine"] - s["missed"]) / (_called_bonafide(s) + s["genuine"]),
}
"""Figures that follow from sums over trials."""


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)
