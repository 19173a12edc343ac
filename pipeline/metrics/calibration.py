"""Map from logits to calibrated log-likelihood ratios, and the thresholds of decisions; both are fitted on dev only.

Training fits them and stores them in the model folder; everything that scores applies them. Calibrated scores can be
combined with any prior by Bayes' rule; raw logits cannot.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from pipeline import metrics
from pipeline.errors import ConfigError
from pipeline.metrics.detection import RATE_TOLERANCE

REGULARISATION = 1e-4
"""Weight of the squared slope of the standardised logit; it keeps the slope finite if the classes separate on dev."""
MIN_SLOPE = 1e-3
"""Least slope of the standardised logit; scores are then close to 0, and keep their order."""
KNEE = 1.0
"""Distance from a bound, in nats, at which scores start to be compressed."""
FAMILIARITY = 0.01
"""Share of dev under which a recording is unfamiliar."""
NAMED = ("eer", "min_dcf", "fpr=0.01", "fnr=0.01")
"""Operating points that every model holds."""
LEAST_CLIPS = 20
"""Clips of each class from which calibration and threshold are refitted: one of 20 moves an error rate by 5 points."""
COST_FORM = "prior=P,miss=COST,false_alarm=COST"
FORMS = f"eer, min_dcf, fpr=RATE, fnr=RATE, {COST_FORM}"
"""How an operating point can be named; P is the prior probability of spoof."""


@dataclass(frozen=True)
class Calibration:
    """Map from logit to log-likelihood ratio: affine, then compressed between bounds. It keeps the order of trials.

    Scores up to a nat (``KNEE``) short of a bound stay as they are. Beyond it by x, the score is bound − 1 / (1 + x):
    it rises strictly and never reaches the bound. Model folders without bounds are unbounded.
    """

    slope: float
    intercept: float
    lower: float = -math.inf
    upper: float = math.inf

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios of logits, same shape, natural logarithm."""
        scores = self.slope * np.asarray(logits, np.float64) + self.intercept
        return _bounded(scores, self.lower, self.upper)[0]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the calibrated score, its prior of spoof, and its error rates on dev if they were measured.

    Recordings of less ``familiarity`` get no verdict; 0: all get one. ``segments`` is the model's threshold for spoofed
    segments, which its folder holds apart from the points.
    """

    threshold: float
    prior_spoof: float
    miss: float | None = None
    false_alarm: float | None = None
    familiarity: float = FAMILIARITY
    segments: float | None = None

    @property
    def segment_threshold(self) -> float:
        """Threshold for spoofed segments: the lower one, if the model has one for segments too."""
        return self.threshold if self.segments is None else min(self.threshold, self.segments)

    def stored(self) -> dict[str, float | None]:
        """Values that a model folder holds."""
        return {name: value for name, value in asdict(self).items() if name != "segments"}


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Prior-weighted logistic regression (Brümmer & du Preez 2006) of labels on logits, with bounded scores.

    Each class weighs one half, so the fitted log-odds are a log-likelihood ratio whatever the share of spoof on dev.
    Dev supports no odds beyond its own size: if none of n clips of a class has an extreme score, the rule of succession
    puts the rate of such clips at 1 / (n + 2). So scores lie above −ln(bonafide + 2) and below ln(spoof + 2), in clips
    of dev; slope and intercept are fitted with these bounds in place. Logits that fall with bonafide speech get the
    least slope allowed and are not inverted: a detector that is wrong on dev is a mistake to find. Raises
    ``MetricError`` if logits are not finite or lack a class.
    """
    from scipy.optimize import minimize

    logits, labels = metrics.checked(logits, labels)
    lower, upper = -math.log(labels.sum() + 2), math.log((~labels).sum() + 2)
    centre, spread = logits.mean(), logits.std() or 1.0
    x, sign = (logits - centre) / spread, np.where(labels, 1.0, -1.0)
    weight = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())

    def loss(values: np.ndarray) -> tuple[float, list[float]]:
        slope, offset = values
        scores, rise = _bounded(slope * x + offset, lower, upper)
        costs = np.logaddexp(0, -sign * scores)
        down = -weight * sign * rise * -np.expm1(-costs)  # 1 − e^−cost is the probability of the wrong class
        return weight @ costs + REGULARISATION / 2 * slope**2, [down @ x + REGULARISATION * slope, down.sum()]

    limits = [(MIN_SLOPE, None), (None, None)]
    slope, offset = minimize(
        loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 1e-15, "gtol": 1e-9}
    ).x
    return Calibration(float(slope / spread), float(offset - slope * centre / spread), lower, upper)


def _bounded(scores: np.ndarray, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores compressed between bounds, and the slope of that map at each."""
    low, high = lower + KNEE, upper - KNEE
    over, under = np.maximum(scores - high, 0), np.maximum(low - scores, 0)
    return np.clip(scores, low, high) + (1 - 1 / (1 + over)) - (1 - 1 / (1 + under)), (1 + over + under) ** -2.0


def operating_points(
    scores: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = NAMED
) -> dict[str, OperatingPoint]:
    """Named thresholds on calibrated scores, with their error rates on the same trials."""
    return {name: operating_point(name, scores, labels) for name in dict.fromkeys(names)}


def operating_point(name: str, scores: np.ndarray, labels: np.ndarray) -> OperatingPoint:
    """Threshold of a name on calibrated scores, and its error rates there.

    ``eer``, ``fpr=RATE`` (at most that share of spoof accepted) and ``fnr=RATE`` (at most that share of bonafide
    missed) hold at even odds, ``min_dcf`` at the challenge's prior and costs, ``prior=P,miss=COST,false_alarm=COST``
    at its own. Other names raise ``ConfigError``.
    """
    form, values = _parsed(name)
    if form == "cost":
        threshold, prior = _bayes_threshold(*values), values[0]
    elif form == "min_dcf":
        threshold, prior = metrics.min_dcf_threshold(scores, labels), metrics.P_SPOOF
    elif form == "eer":
        threshold, prior = metrics.eer_threshold(scores, labels), 0.5
    else:
        chosen = metrics.false_alarm_threshold if form == "fpr" else metrics.miss_threshold
        threshold, prior = chosen(scores, labels, *values), 0.5
    return OperatingPoint(threshold, prior, *metrics.error_rates(scores, labels, threshold))


def one_class_point(name: str, scores: np.ndarray, *, bonafide: bool) -> OperatingPoint:
    """Threshold of ``fnr=RATE`` on bonafide trials, or of ``fpr=RATE`` on spoof trials, without any of the other class.

    At most RATE of the trials is on the wrong side.
    """
    (rate,) = _parsed(name)[1]
    ordered = np.sort(scores if bonafide else -np.asarray(scores))
    allowed = math.floor(rate * len(ordered) + RATE_TOLERANCE)
    if bonafide:
        threshold = float(ordered[allowed])
        return OperatingPoint(threshold, 0.5, miss=float(np.mean(scores < threshold)))
    threshold = float(np.nextafter(-ordered[allowed], np.inf))
    return OperatingPoint(threshold, 0.5, false_alarm=float(np.mean(scores >= threshold)))


def shortage(name: str, bonafide: int, spoof: int) -> str:
    """Why clips do not suffice to refit calibration and the threshold of an operating point; "" if they do.

    Each class that is there needs ``LEAST_CLIPS``; one class alone sets the rate of its own errors only. ``fpr=RATE``
    needs 3 / RATE spoof clips, ``fnr=RATE`` as many bonafide ones: with fewer, the upper 95 % bound of the rate
    lies above RATE even if no clip is on the wrong side (the rule of three, Hanley & Lippman-Hand 1983).
    """
    form, values = _parsed(name)
    counts = {"bonafide": bonafide, "spoof": spoof}
    for label, count in counts.items():
        if 0 < count < LEAST_CLIPS or not any(counts.values()):
            return (
                f"{count} {label} clips are too few to calibrate on: {LEAST_CLIPS} of each class are needed, or "
                f"{LEAST_CLIPS} of one and none of the other"
            )
    for label, other, own in (("bonafide", "spoof", "fnr"), ("spoof", "bonafide", "fpr")):
        if not counts[other] and form != own:
            return (
                f"--operating_point {name}: all recordings are {label}, which sets {own}=RATE only; give that, or add "
                f"{other} recordings"
            )
    count = counts["spoof" if form == "fpr" else "bonafide"]
    if form not in ("fpr", "fnr") or not count or count * values[0] >= 3 - RATE_TOLERANCE:
        return ""
    needed = f"{math.ceil(3 / values[0] - RATE_TOLERANCE)}" if values[0] else "infinitely many"
    return (
        f"--operating_point {name} needs {needed} {'spoof' if form == 'fpr' else 'bonafide'} clips (3 / RATE, so that "
        f"none wrong among them shows that rate), and there are {count}; add some, or give "
        f"{form}={math.ceil(3000 / count) / 1000:g}, the least that these allow"
    )


def cost_point(name: str) -> OperatingPoint | None:
    """Operating point of ``prior=P,miss=COST,false_alarm=COST``, which needs no trials.

    ``None`` for names of another form; ``ConfigError`` for names of no form.
    """
    form, values = _parsed(name)
    return OperatingPoint(_bayes_threshold(*values), values[0]) if form == "cost" else None


def check_name(name: str) -> None:
    """Raise ``ConfigError`` if ``name`` names no operating point."""
    _parsed(name)


def _bayes_threshold(prior_spoof: float, miss_cost: float, false_alarm_cost: float) -> float:
    """Log-likelihood ratio from which calling a recording bonafide costs less than calling it spoof."""
    return math.log(prior_spoof * false_alarm_cost / ((1 - prior_spoof) * miss_cost))


def _parsed(name: str) -> tuple[str, tuple[float, ...]]:
    """Form of an operating point (eer, min_dcf, fpr, fnr, cost) and the numbers in its name."""
    if name in ("eer", "min_dcf"):
        return name, ()
    keys, _, texts = zip(*(part.strip().partition("=") for part in name.split(",")), strict=True)
    try:
        values = tuple(float(text) for text in texts)
    except ValueError:
        values = ()
    if values and keys in (("fpr",), ("fnr",)) and 0 <= values[0] < 1:
        return keys[0], values
    if values and sorted(keys) == ["false_alarm", "miss", "prior"]:
        given = dict(zip(keys, values, strict=True))
        prior, miss, false_alarm = given["prior"], given["miss"], given["false_alarm"]
        if 0 < prior < 1 and 0 < miss < math.inf and 0 < false_alarm < math.inf:
            return "cost", (prior, miss, false_alarm)
    raise ConfigError(
        f"operating point {name!r}: expected one of {FORMS}, where 0 ≤ RATE < 1, 0 < P < 1 and costs are positive"
    )
