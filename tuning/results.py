"""Results of a study: a table, lines for the terminal, and the configuration to train with."""

from collections.abc import Mapping

import optuna
import pandas as pd
import yaml
from optuna.trial import FrozenTrial, TrialState

from pipeline.config import Config, preset
from tuning import abandoned, study, trial
from tuning.objective import OBJECTIVES
from tuning.study import Settings

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
NOT_TUNED = ("preset", "epochs", "seed", "require_gpu")
"""Options that a search sets itself, so the best configuration leaves them out."""


def table(own: optuna.Study) -> pd.DataFrame:
    """One row per trial: state, metrics on dev of the kept epoch, epochs, seconds, parameters, source, error, run."""
    settings = study.settings_of(own)
    metrics = [OBJECTIVES[name].metric for name in settings.objectives]
    columns = ["trial", "state", *metrics, "epochs", "duration_s", *settings.params, "source", "error", "run_id"]
    rows = [
        {
            "trial": one.number,
            "state": STATES[one.state],
            **one.user_attrs.get(trial.DEV, {}),
            "epochs": one.user_attrs.get(trial.EPOCHS, 0),
            "duration_s": one.duration.total_seconds() if one.duration else None,
            **one.params,
            "source": one.user_attrs.get(study.SOURCE, ""),
            "error": error(one),
            "run_id": one.user_attrs.get(abandoned.RUN, ""),
        }
        for one in own.get_trials(deepcopy=False)
    ]
    found = pd.DataFrame(rows)
    return found.reindex(columns=[*columns, *found.columns.difference(columns, sort=False)])


def error(one: FrozenTrial) -> str:
    """Error of a failed trial in one line; empty for the others."""
    return one.user_attrs.get(trial.ERROR, abandoned.DIED) if one.state == TrialState.FAIL else ""


def counts(own: optuna.Study) -> str:
    """Number of trials by state, as ``12 trials: 5 complete, 7 pruned``."""
    states = [STATES[one.state] for one in own.get_trials(deepcopy=False)]
    parts = [f"{states.count(name)} {name}" for name in STATES.values() if name in states]
    return f"{len(states)} trial{'s' * (len(states) != 1)}" + (f": {', '.join(parts)}" if parts else "")


def best_config(own: optuna.Study) -> Config:
    """Configuration of the best trial, with the seed and the epochs of the search."""
    return study.settings_of(own).config.replace(**study.ranked(own)[0].params)


def best_params(own: optuna.Study, final_epochs: int) -> str:
    """Best configuration as a file for ``--config``, with ``final_epochs`` as its epochs."""
    settings, best, config = study.settings_of(own), study.ranked(own)[0], best_config(own)
    base = preset(config.preset).flat()
    changed = {n: value for n, value in config.flat().items() if n not in NOT_TUNED and base[n] != value}
    values = {"preset": config.preset, **changed, **best.params, "epochs": final_epochs}
    head = f"# Study {own.study_name}, trial {best.number}: {shown(settings, best)}\n"
    return head + yaml.safe_dump(values, sort_keys=False)


def shown(settings: Settings, one: FrozenTrial) -> str:
    """Objectives of a trial, as ``dev EER 12.34 %``."""
    parts = []
    for objective in (OBJECTIVES[name] for name in settings.objectives):
        value = one.user_attrs[trial.DEV][objective.metric]
        parts.append(f"{objective.title} " + (f"{100 * value:.2f} %" if objective.percent else f"{value:.4g}"))
    return ", ".join(parts)


def params_shown(params: Mapping[str, object]) -> str:
    """Parameters in one line."""
    return ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in params.items())


def line(own: optuna.Study, one: FrozenTrial) -> str:
    """Result of a trial in one line, and the best trial so far."""
    settings, epochs = study.settings_of(own), one.user_attrs.get(trial.EPOCHS, 0)
    text = f"== trial {one.number} {STATES[one.state]} after {epochs} epoch{'s' * (epochs != 1)}"
    text += f": {error(one) or shown(settings, one)} | {params_shown(one.params)}"
    if best := study.ranked(own):
        text += f" | best: {shown(settings, best[0])}, trial {best[0].number}"
    return text


def metrics(own: optuna.Study) -> dict[str, float]:
    """Metrics of the run of a study: trials by state, and the metrics on dev of the best trial."""
    states = [STATES[one.state] for one in own.get_trials(deepcopy=False)]
    found = {f"trials/{name}": float(states.count(name)) for name in ("complete", "pruned", "failed")}
    return found | (study.ranked(own)[0].user_attrs[trial.DEV] if study.ranked(own) else {})


def summary(own: optuna.Study) -> str:
    """Best trial and trial of the default parameters, a line each."""
    settings, best = study.settings_of(own), study.ranked(own)
    lines = [f"study {own.study_name}, {counts(own)}"]
    default = [one for one in best if one.user_attrs.get(study.SOURCE) == study.DEFAULT]
    for what, chosen in (("default parameters", default[:1]), ("best", best[:1])):
        lines += [f"{what}: {shown(settings, t)} (trial {t.number}: {params_shown(t.params)})" for t in chosen]
    return "\n".join(lines)
