"""Files of a study: figures, table of trials, best configuration, and one page with all of them."""

from collections.abc import Mapping
from pathlib import Path

import optuna

from pipeline.reporting import pages
from tuning import results, study, study_figures, trial
from tuning.objective import OBJECTIVES

TRIALS, BEST, PAGE = "trials.csv", "best_params.yaml", "study.html"


def write(own: optuna.Study, folder: Path, final_epochs: int) -> None:
    """Write the files of a study as it stands; without a complete trial there is no best configuration."""
    drawn = study_figures.draw(own)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        (folder / "figures" / f"{name}.png").write_bytes(picture)
    results.table(own).to_csv(folder / TRIALS, index=False)
    if study.ranked(own):
        (folder / BEST).write_text(results.best_params(own, final_epochs), encoding="utf-8")
    (folder / PAGE).write_text(html(own, drawn, final_epochs), encoding="utf-8")


def html(own: optuna.Study, figures: Mapping[str, bytes], final_epochs: int) -> str:
    """The study as one self-contained page."""
    settings = study.settings_of(own)
    titles = [OBJECTIVES[name].title for name in settings.objectives]
    return pages.render(
        "study.html.j2",
        name=own.study_name,
        lead=f"A search for the best {titles[0]}, {results.counts(own)}.",
        best=results.best_params(own, final_epochs) if study.ranked(own) else "",
        figures=figures,
        columns=["trial", "", *titles, "epochs", *settings.params, ""],
        rows=_trials(own, settings),
        settings={"objective": ", ".join(settings.objectives), "pruner": settings.pruner} | settings.config.flat(),
    )


def _trials(own: optuna.Study, settings: study.Settings) -> list[list[str]]:
    """Complete trials from the best to the worst, then the others in their order."""
    order = {one.number: place for place, one in enumerate(study.ranked(own))}
    everything = sorted(own.get_trials(deepcopy=False), key=lambda one: (order.get(one.number, len(order)), one.number))
    rows = []
    for one in everything:
        metrics = one.user_attrs.get(trial.DEV, {})
        cells = [str(one.number), results.STATES[one.state]]
        for name in settings.objectives:
            value = metrics.get(OBJECTIVES[name].metric)
            cells.append("–" if value is None else f"{100 * value:.2f} %" if name == "eer" else f"{value:.4g}")
        cells.append(str(one.user_attrs.get(trial.EPOCHS, 0)))
        cells += [_cell(one.params.get(name)) for name in settings.params]
        rows.append([*cells, results.error(one) or one.user_attrs.get(study.SOURCE, "")])
    return rows


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
