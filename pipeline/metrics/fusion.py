"""Logistic fusion: weights of the calibrated scores of several models, fitted on dev.

Linear logistic regression on scores is how the field fuses systems (Brümmer et al. 2007). Dev sets of few voices do not
support it as it is: a weak model then gets a negative weight, because its errors resemble those of a better one.
"""

from dataclasses import dataclass

import numpy as np

PRIOR_TRIALS = 16
"""Trials that the pull towards equal weights counts as much as.

Chosen by cross-validation over the speakers of the demo's dev set (176 trials): a stronger pull costs EER, a weaker one
Cllr.
"""


@dataclass(frozen=True)
class Fusion:
    """How a model was made of others.

    ``by`` is ``logistic``, ``mean`` (of the scores) or ``weights`` (their mean); ``members`` holds the weight of each
    model by its version, and ``bias`` is added to the weighted sum.
    """

    by: str
    members: dict[str, float]
    bias: float = 0.0


def fit(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights ``[models]``, none of them negative, and bias of scores ``[trials, models]``; labels are true = bonafide.

    Each class weighs one half, as in ``calibration.fit``. The penalty is the squared distance from equal weights that
    sum to 1; it fades as dev grows.
    """
    from scipy.optimize import minimize

    trials, models = scores.shape
    sign = np.where(labels, 1.0, -1.0)
    share = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    equal, strength = np.full(models, 1 / models), PRIOR_TRIALS / trials

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        away = values[:-1] - equal
        costs = np.logaddexp(0, -sign * (scores @ values[:-1] + values[-1]))
        down = share * sign * np.expm1(-costs)  # 1 − e^−cost is the probability of the wrong class
        return share @ costs + strength / 2 * away @ away, np.append(down @ scores + strength * away, down.sum())

    limits = [(0, None)] * models + [(None, None)]
    found = minimize(loss, [*equal, 0.0], jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 1e-15}).x
    return found[:-1], float(found[-1])
