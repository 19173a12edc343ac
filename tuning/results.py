"""What a study found, as a table, as a line, and as the configuration to train with."""

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
"""Options that a search sets for itself and its best configuration does not hold."""


def table(own: optuna.Study) -> pd.DataFrame:
    """A row a trial: state, metrics on dev of the epoch it kept, epochs, seconds, parameters, source, error, run."""
    settings = study.settings_of(own)
    rows = []
    for one in own.get_trials(deepcopy=False):
        spent = one.duration.total_seconds() if one.duration else None
        rows.append(
            {
                "trial": one.number,
                "state": STATES[one.state],
                **one.user_attrs.get(trial.DEV, {}),
                "epochs": one.user_attrs.get(trial.EPOCHS, 0),
                "duration_s": spent,
                **{name: one.params.get(name) for name in settings.params},
                "source": one.user_attrs.get(study.SOURCE, ""),
                "error": error(one),
                "run_id": one.user_attrs.get(abandoned.RUN, ""),
            }
        )
    metrics = [OBJECTIVES[name].metric for name in settings.objectives]
    columns = ["trial", "state", *metrics, "epochs", "duration_s", *settings.params, "source", "error", "run_id"]
    found = pd.DataFrame(rows, columns=list(dict.fromkeys([*columns, *(name for row in rows for name in row)])))
    return found[[*columns, *(name for name in found.columns if name not in columns)]]


def error(one: FrozenTrial) -> str:
    """Why a trial failed, in one line; empty for the others."""
    return one.user_attrs.get(trial.ERROR, abandoned.DIED) if one.state == TrialState.FAIL else ""


def counts(own: optuna.Study) -> str:
    """How many trials there are of each state, as ``12 trials: 5 complete, 7 pruned``."""
    states = [STATES[one.state] for one in own.get_trials(deepcopy=False)]
    parts = [f"{states.count(name)} {name}" for name in STATES.values() if name in states]
    return f"{len(states)} trial{'s' * (len(states) != 1)}" + (f": {', '.join(parts)}" if parts else "")


def best_config(own: optuna.Study) -> Config:
    """The configuration of the best trial; the seed and the epochs are those of the search."""
    return study.settings_of(own).config.replace(**study.ranked(own)[0].params)


def best_params(own: optuna.Study, final_epochs: int) -> str:
    """The best configuration as a file for ``--config``, trained for ``final_epochs``."""
    settings, best = study.settings_of(own), study.ranked(own)[0]
    config = best_config(own)
    base = preset(config.preset).flat()
    changed = {n: value for n, value in config.flat().items() if n not in NOT_TUNED and base[n] != value}
    values = {"preset": config.preset, **changed, **best.params, "epochs": final_epochs}
    head = f"# Study {own.study_name}, trial {best.number}: {shown(settings, best.user_attrs[trial.DEV])}\n"
    return head + yaml.safe_dump(values, sort_keys=False)


def shown(settings: Settings, metrics: Mapping[str, float]) -> str:
    """The objectives of a trial, as ``dev EER 12.34 %``."""
    parts = []
    for name in settings.objectives:
        value, title = metrics[OBJECTIVES[name].metric], OBJECTIVES[name].title
        parts.append(f"{title} {100 * value:.2f} %" if name == "eer" else f"{title} {value:.4g}")
    return ", ".join(parts)


def params_shown(params: Mapping[str, object]) -> str:
    """Parameters in one line."""
    return ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in params.items())


def line(own: optuna.Study, one: FrozenTrial) -> str:
    """What became of a trial, and which one is the best so far."""
    settings, epochs = study.settings_of(own), one.user_attrs.get(trial.EPOCHS, 0)
    text = f"== trial {one.number} {STATES[one.state]} after {epochs} epoch{'s' * (epochs != 1)}"
    text += f": {error(one)}" if error(one) else f": {shown(settings, one.user_attrs[trial.DEV])}"
    text += f" | {params_shown(one.params)}"
    if best := study.ranked(own):
        text += f" | best: {shown(settings, best[0].user_attrs[trial.DEV])}, trial {best[0].number}"
    return text


def metrics(own: optuna.Study) -> dict[str, float]:
    """What the run of a study is compared by: trials of each state, and the metrics on dev of the best one."""
    states = [STATES[one.state] for one in own.get_trials(deepcopy=False)]
    found = {f"trials/{name}": float(states.count(name)) for name in ("complete", "pruned", "failed")}
    return found | (study.ranked(own)[0].user_attrs[trial.DEV] if study.ranked(own) else {})


def summary(own: optuna.Study) -> str:
    """The best trial beside that of the default parameters, in two or three lines."""
    settings, best = study.settings_of(own), study.ranked(own)
    lines = [f"study {own.study_name}, {counts(own)}"]
    default = [one for one in best if one.user_attrs.get(study.SOURCE) == study.DEFAULT]
    for what, chosen in (("default parameters", default[:1]), ("best", best[:1])):
        for one in chosen:
            values = shown(settings, one.user_attrs[trial.DEV])
            lines.append(f"{what}: {values} (trial {one.number}: {params_shown(one.params)})")
    return "\n".join(lines)
