"""The files of a study: figures, the table of its trials, the best configuration, and one page with all of it."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import optuna

from pipeline.reporting import markup
from tuning import results, study, study_figures, trial
from tuning.objective import OBJECTIVES

TRIALS, BEST, PAGE = "trials.csv", "best_params.yaml", "study.html"
NARROW = ("importances",)


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
    settings, ranked = study.settings_of(own), study.ranked(own)
    lead = f"A search for the best {OBJECTIVES[settings.objectives[0]].title}, {results.counts(own)}."
    head = f"<h1>{escape(own.study_name)}</h1>" + f'<p class="lead">{escape(lead)}</p>'
    sections = {}
    if ranked:
        sections["Best configuration"] = f"<pre>{escape(results.best_params(own, final_epochs))}</pre>"
    sections["Figures"] = markup.gallery(figures, wide=figures.keys() - set(NARROW), bars=NARROW)
    sections["Trials"] = _trials(own)
    about = {"objective": ", ".join(settings.objectives), "pruner": settings.pruner}
    sections["Settings"] = markup.pairs(about | settings.config.flat())
    return markup.page(own.study_name, head, sections)


def _trials(own: optuna.Study) -> str:
    """Complete trials from the best to the worst, then the others in their order."""
    settings = study.settings_of(own)
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
    titles = [OBJECTIVES[name].title for name in settings.objectives]
    header = ["trial", "", *titles, "epochs", *settings.params, ""]
    return f'<div class="scroll">{markup.table(header, rows, left=(0, 1), about=True)}</div>'


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
