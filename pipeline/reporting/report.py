"""Report of an evaluation as a web page, and its model card in Markdown.

Both render one ``EvaluationSummary`` (``evaluation.json``), like the tables of ``plain_text``, so they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from pipeline.metrics.assessment import MOST_VALUES
from pipeline.reporting import pages
from pipeline.reporting import wording as form
from pipeline.reporting.evaluation_summary import EvaluationSummary
from pipeline.store.shortcuts import ALL, FILE_FORMAT, LIMIT, NO_FORMAT

GALLERIES = {"training_curves": "Training", "eval": "Eval", "dev": "Dev", "train": "Train", "examples": "Examples"}
"""Title of the figures by the first part of their names, in order."""
HEADLINE = ("roc", "det", "scores")
"""Figures of the main subset that follow the headline numbers."""
ELSEWHERE = ("reliability", "robustness", "against")
"""Figures shown in sections other than the galleries, by the last part of their names."""
WIDE = ("training_curves", "robustness", "against")
"""Figures that take the page's whole width, by the last part of their names."""
MOST_ROWS = 50
"""Rows of a table of groups at most, the hardest first; ``groups.csv`` has all."""


def html(
    summary: EvaluationSummary,
    figures: Mapping[str, bytes],
    media: Sequence[tuple[bytes, bytes]] = (),
) -> str:
    """Report as one self-contained page.

    Parameters
    ----------
    summary : see ``EvaluationSummary``.
    figures : PNG by name (``training_curves``, ``eval/roc`` …), in the order of the page.
    media : picture (PNG) and sound (FLAC) of each of the summary's clips.
    """
    names = {g.name: form.title(g) for r in summary.results.values() for g in r.groups if g.kind == "attack"}
    shortcuts: dict[str, dict] = {}
    for found in summary.shortcuts:
        name = "all attacks" if found.name == ALL else names.get(found.name, found.name)
        shortcuts.setdefault(name, {})[found.kind] = found
    kinds = list(dict.fromkeys(found.kind for found in summary.shortcuts))
    return pages.render(
        "report.html.j2",
        summary=summary,
        form=form,
        figures=_placed(figures, summary.main),
        media=[(clip, *own) for clip, own in zip(summary.clips, media, strict=True)],
        conditions=_conditions(summary),
        shortcuts=dict(list(shortcuts.items())[:MOST_ROWS]),
        kinds=kinds,
        shortcut_note="" if FILE_FORMAT in kinds else NO_FORMAT,
        group_kinds={group.kind for result in summary.results.values() for group in result.groups},
        limit=LIMIT,
        most_rows=MOST_ROWS,
        most_values=MOST_VALUES,
        wide=WIDE,
    )


def markdown(summary: EvaluationSummary) -> str:
    """Model card under the usual headings.

    MLflow's registry shows its beginning as the description of a version, so the longest lists come last.
    """
    return pages.render("model_card.md.j2", summary=summary, form=form)


def _placed(figures: Mapping[str, bytes], main: str) -> dict[str, dict]:
    """Figures by the section that shows them."""
    headline = {f"{main}/{name}": figures[f"{main}/{name}"] for name in HEADLINE if f"{main}/{name}" in figures}
    last = {name: name.split("/")[-1] for name in figures}
    others: dict[str, dict[str, bytes]] = {}
    for first, title in GALLERIES.items():
        for name, picture in figures.items():
            if name.split("/")[0] == first and name not in headline and last[name] not in ELSEWHERE:
                others.setdefault(title, {})[name] = picture
    newest_first = list(reversed(figures.items()))
    return {
        "headline": headline,
        "rival": {name: picture for name, picture in newest_first if last[name] == "against"},
        "robustness": {name: picture for name, picture in newest_first if name == "robustness"},
        "calibration": {name: picture for name, picture in newest_first if last[name] == "reliability"},
        "others": others,
    }


def _conditions(summary: EvaluationSummary) -> dict[str, list]:
    """Groups of each condition of the main subset and of its speakers, the hardest first."""
    groups = [*summary.groups("condition"), *summary.groups("speaker")]
    by_condition = groupby(groups, key=lambda g: g.condition or "speaker")
    return {name: sorted(own, key=lambda g: -g.eer) for name, own in by_condition}
