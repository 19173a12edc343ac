"""95 % bootstrap intervals of the figures of merit, over speakers, for one system or for two on the same trials.

A resample draws as many groups (speakers) as there are, with replacement; one that lacks a class is drawn again. It is
a whole-number weight per group. So the scores are sorted once, and every figure follows from sums of weights: a matrix
``[groups, resamples]`` of them in each batch. Trials of one class with none of the other between them share a row of
these sums (a run), and so do trials of equal score.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import metrics
from pipeline.metrics import MetricError

INTERVAL = (0.025, 0.975)
_BATCH_WEIGHTS = 200_000
"""Weights per batch: few enough to stay in the cache."""
_ROUNDS = 10
"""Draws per resample before the interval rests on fewer resamples."""

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
    groups : group of each trial ``[trials]``, of any type that sorts; without them every trial is a group.
    names : figures wanted.
    threshold : of accuracy, precision, recall and f1, on scores.
    logits : of the loss, ``[trials]``.

    Raises ``MetricError`` if there is a single group, or if no resample holds both classes.
    """
    system = _System.of(scores, labels, groups, threshold, logits)
    values = [system.figures(weights, names) for weights in _draws(system, resamples, seed)]
    return {name: _interval(np.concatenate([batch[name] for batch in values])) for name in names}


def eer_interval(
    scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Interval of the EER, see ``intervals``; of the mean EER for ``[runs, trials]`` of several trainings."""
    return _interval(_mean_eers([scores], labels, groups, resamples, seed)[0])


def rate_interval(
    wrong: np.ndarray, groups: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Interval of the share of wrong decisions ``[trials]`` bool, in trials of one class.

    The wider, at each end, of the bootstrap over groups and of the exact binomial interval over trials (Clopper &
    Pearson 1934): resamples of trials without any error would give an interval of no width.
    """
    from scipy.stats import binomtest

    names, member = np.unique(np.arange(len(wrong)) if groups is None else groups, return_inverse=True)
    errors, trials = np.bincount(member, wrong, len(names)), np.bincount(member, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    low, high = _interval(errors[drawn].sum(axis=1) / trials[drawn].sum(axis=1))
    exact = binomtest(int(np.sum(wrong)), len(wrong)).proportion_ci(INTERVAL[1] - INTERVAL[0])
    return min(low, float(exact.low)), max(high, float(exact.high))


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
    eers = _mean_eers([first, second], labels, groups, resamples, seed)
    found = [np.mean([metrics.eer(scores, labels) for scores in np.atleast_2d(system)]) for system in (first, second)]
    return float(found[0] - found[1]), *_interval(eers[0] - eers[1])


def _mean_eers(
    systems: Sequence[np.ndarray], labels: np.ndarray, groups: np.ndarray | None, resamples: int, seed: int
) -> np.ndarray:
    """Mean EER over the trainings of each system, ``[systems, resamples]``, the same resamples for all."""
    trainings = [[_System.of(scores, labels, groups) for scores in np.atleast_2d(system)] for system in systems]
    batches = [
        [np.mean([training.figures(weights, ("eer",))["eer"] for training in system], axis=0) for system in trainings]
        for weights in _draws(trainings[0][0], resamples, seed)
    ]
    return np.concatenate(batches, axis=1)


def _draws(system: "_System", resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Weights ``[groups, resamples]`` in batches; only resamples with trials of both classes."""
    count = system.bonafide.shape[1]
    if count < 2:
        raise MetricError("an interval needs at least two groups, and all trials are of one")
    genuine, spoofed = (runs.sum(axis=0) for runs in (system.bonafide, system.spoof))
    rng = np.random.default_rng(seed)
    batch, missing = max(1, min(resamples, _BATCH_WEIGHTS // max(system.bonafide.shape))), resamples
    for _ in range(_ROUNDS * -(-resamples // batch)):
        drawn = rng.integers(count, size=(batch, count), dtype=np.int32) + count * np.arange(batch)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=batch * count).reshape(batch, count).astype(np.float64)
        kept = weights[(weights @ genuine > 0) & (weights @ spoofed > 0)][:missing]
        missing -= len(kept)
        yield np.ascontiguousarray(kept.T)
        if not missing:
            return
    if missing == resamples:
        raise MetricError("no resample of the groups holds both classes, so the interval is not defined")


@dataclass(frozen=True)
class _System:
    """Trials of one system, ready to be weighted.

    ``bonafide`` and ``spoof`` are sparse ``[runs, groups]``: trials of each class in each run, by rising score.
    ``sums`` is ``[2, 5, groups]``: of each class its trials, wrong decisions at the Bayes threshold, wrong decisions at
    ``threshold``, bits of Cllr, and nats of the loss.
    """

    bonafide: "scipy.sparse.csr_array"  # noqa: F821
    spoof: "scipy.sparse.csr_array"  # noqa: F821
    sums: np.ndarray

    @classmethod
    def of(cls, scores, labels, groups, threshold: float = 0.0, logits: np.ndarray | None = None) -> "_System":
        from scipy.sparse import csr_array

        scores, labels = metrics.checked(scores, labels)
        names, member = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
        _, tie, size = np.unique(scores, return_inverse=True, return_counts=True)
        share = np.bincount(tie, labels) / size  # of bonafide at each score
        begins = (share[1:] != share[:-1]) | (share[1:] % 1 > 0)
        run = np.append(0, np.cumsum(begins))[tie]
        bonafide, spoof = (
            csr_array((np.ones(part.sum()), (run[part], member[part])), shape=(run.max() + 1, len(names)))
            for part in (labels, ~labels)
        )
        wrong = [(scores >= at) != labels for at in (metrics.BAYES_THRESHOLD, threshold)]
        nats = [np.logaddexp(0, np.where(labels, -x, x)) for x in (scores, scores if logits is None else logits)]
        values = np.stack([np.ones(len(labels)), *wrong, nats[0] / np.log(2), nats[1]])
        sums = [[np.bincount(member, value * part, len(names)) for value in values] for part in (labels, ~labels)]
        return cls(bonafide, spoof, np.array(sums))

    def figures(self, weights: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Named figures ``[resamples]`` of weights ``[groups, resamples]``, each with trials of both classes."""
        ranked = [name for name in names if name in _RANKED]
        found = self._ranked(weights, ranked) if ranked else {}
        found |= self._added(weights) if len(ranked) < len(names) else {}
        return {name: found[name] for name in names}

    def _ranked(self, weights: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Named figures of the order of the scores."""
        bonafide, spoof = self.bonafide @ weights, self.spoof @ weights  # (runs, resamples)
        missed, rejected = np.cumsum(bonafide, axis=0), np.cumsum(spoof, axis=0)
        return {name: _RANKED[name](bonafide, spoof, missed, rejected) for name in names}

    def _added(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Figures of sums over trials."""
        (genuine, bayes_missed, missed, bits, loss), (spoofed, bayes_accepted, accepted, spoof_bits, spoof_loss) = (
            self.sums @ weights
        )
        hits, trials = genuine - missed, genuine + spoofed
        return {
            "act_dcf": metrics.normalised_cost(bayes_missed / genuine, bayes_accepted / spoofed),
            "cllr": (bits / genuine + spoof_bits / spoofed) / 2,
            "loss": (loss + spoof_loss) / trials,
            "accuracy": 1 - (missed + accepted) / trials,
            "precision": hits / np.maximum(hits + accepted, 1),
            "recall": hits / genuine,
            "f1": 2 * hits / (hits + accepted + genuine),
        }


def _eer(bonafide: np.ndarray, spoof: np.ndarray, missed: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """EER of each resample, from trials ``[runs, resamples]`` of each class in a run and up to its end.

    As in ``metrics.curve``, the line through a run is straight and has one step per trial. The gap (miss − false alarm)
    rises with every step; times genuine · spoofed it is a whole number. The EER lies at the step nearest to gap 0.
    """
    genuine, spoofed = missed[-1], rejected[-1]
    gap = missed * spoofed + rejected * genuine - genuine * spoofed
    at = np.argmax(gap >= 0, axis=0), np.arange(len(genuine))  # the run in which the gap reaches 0
    trials, rise = bonafide[at] + spoof[at], bonafide[at] * spoofed + spoof[at] * genuine
    steps = np.ceil((rise - gap[at]) * trials / rise - 0.5)  # to the nearest point, the first of two equally near
    back = 1 - steps / trials
    miss = (missed[at] - back * bonafide[at]) / genuine
    false_alarm = 1 - (rejected[at] - back * spoof[at]) / spoofed
    return (miss + false_alarm) / 2


def _auc(bonafide: np.ndarray, spoof: np.ndarray, missed: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """ROC AUC of each resample, from what ``_eer`` takes."""
    return (bonafide * (rejected - spoof / 2)).sum(axis=0) / (missed[-1] * rejected[-1])


def _min_dcf(bonafide: np.ndarray, spoof: np.ndarray, missed: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Minimum normalised DCF of each resample, from what ``_eer`` takes."""
    costs = metrics.normalised_cost(missed / missed[-1], 1 - rejected / rejected[-1]).min(axis=0)
    return np.minimum(costs, metrics.normalised_cost(0.0, 1.0))


_RANKED = {"eer": _eer, "auc": _auc, "min_dcf": _min_dcf}


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)
