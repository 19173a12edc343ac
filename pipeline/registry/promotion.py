"""Rule of promotion: whether a candidate replaces the champion, by dev only.

A paired test on the trials of both decides; if it finds no difference, the cheaper one wins. Eval is not used.
"""

from dataclasses import dataclass, field

from pipeline.scoring.model_folders import ModelFolder

CHEAPER = 0.9
"""Largest share of the champion's bytes that a cheaper candidate's LiteRT file has. Bytes are the same on every
machine, times are not."""


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion, the reason, and the numbers that were compared."""

    promoted: bool
    reason: str
    numbers: dict[str, str] = field(default_factory=dict)


def decide(candidate: ModelFolder, champion: ModelFolder | None) -> Decision:
    """Apply the rule of promotion."""
    from pipeline.metrics import paired_test

    if champion is None:
        return Decision(True, "there was no champion")
    if (candidate.model_version, candidate.run_id) == (champion.model_version, champion.run_id):
        return Decision(True, f"it is the champion, at the operating point {candidate.operating_point}")
    trials = _shared_trials(candidate, champion)
    if isinstance(trials, str):
        return Decision(False, trials)
    found = paired_test.compare(
        trials,
        trials["score_champion"].to_numpy(),
        threshold=candidate.point().threshold,
        rival_threshold=champion.point().threshold,
    )
    sizes = candidate.litert.stat().st_size, champion.litert.stat().st_size
    numbers = {
        "dev_eer_champion": f"{found.rival_eer:.6f}",
        "dev_eer_difference": f"{found.difference:.6f}",
        "dev_eer_difference_low": "" if found.low is None else f"{found.low:.6f}",
        "dev_eer_difference_high": "" if found.high is None else f"{found.high:.6f}",
        "dev_mcnemar_p": f"{found.p:.6f}",
        "model_bytes": str(sizes[0]),
        "model_bytes_champion": str(sizes[1]),
    }
    interval = "not defined" if found.low is None else f"{100 * found.low:.2f} to {100 * found.high:.2f}"
    measured = (
        f"dev EER {100 * found.own_eer:.2f} % against {100 * found.rival_eer:.2f} % of {champion.model_version}, "
        f"95 % interval of the paired difference {interval} points"
    )
    if found.better or found.worse:
        return Decision(found.better, f"{'better' if found.better else 'worse'}: {measured}", numbers)
    cheaper = sizes[0] <= CHEAPER * sizes[1]
    cost = f"{sizes[0] / 1e6:.2f} MB to score with against {sizes[1] / 1e6:.2f} MB"
    verdict = f"not told apart, and {'cheaper' if cheaper else 'not cheaper'}"
    return Decision(cheaper, f"{verdict}: {measured}; {cost}", numbers)


def _shared_trials(candidate: ModelFolder, champion: ModelFolder) -> "pd.DataFrame | str":  # noqa: F821
    """Dev scores of both models in one table, or why they do not compare."""
    remedy = "train both on one Store, or set the alias champion yourself in `mlflow ui`"
    for model in (candidate, champion):
        if model.dev_scores is None:
            return f"{model.model_version} has no dev scores, which promotion compares; {remedy}"
    trials = candidate.dev_scores.merge(
        champion.dev_scores[["utterance_id", "score"]], on="utterance_id", suffixes=("", "_champion")
    )
    same = len(trials) == len(candidate.dev_scores) == len(champion.dev_scores)
    if candidate.dev_trials == champion.dev_trials and same:
        return trials
    return (
        f"its dev trials are not those of the champion {champion.model_version}, so their errors do not compare; "
        f"{remedy}"
    )
