"""Measure a score file of any system against keys: figures with intervals, tables and a report, as for our own models.

Formats are those of the ASVspoof challenges, Speech DF Arena, and CSV (``evaluation.score_files``). A score is higher
for bonafide. Nothing is chosen on these trials: decisions are at ``--threshold``.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli, tracking
from pipeline.common import provenance
from pipeline.common.progress import track
from pipeline.config import BONAFIDE, Config, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.evaluation import figures, score_files, tables
from pipeline.evaluation.outcome import result
from pipeline.metrics import paired_test, tandem
from pipeline.metrics.assessment import Evaluation, assess
from pipeline.reporting import plain_text, report, style
from pipeline.reporting.evaluation_summary import (
    EvaluationSummary,
    ModelFacts,
    RivalSummary,
    StoreFacts,
    SubsetData,
)
from pipeline.store import manifest

ALL = "all attacks"


@dataclass(frozen=True)
class MeasureOptions:
    """Scores, keys and what to compare with."""

    scores: tuple[str, ...] = option((), "score file, and after it the key file with the truth")
    keys: str = option("", "key file, if it is not the second of the two")
    against: str = option("", "score file of a rival on the same trials, for the paired test")
    threshold: float = option(0.0, "score from which a trial counts as bonafide; 0 suits log-likelihood ratios")
    asv_scores: str = option(
        "", "scores of a speaker verifier, with keys target, nontarget and spoof: adds min t-DCF and t-EER"
    )
    sasv_scores: str = option(
        "", "scores that judge speaker and spoof at once, with the same keys, of the same system: adds a-DCF"
    )
    output: str = option("", "folder for report, figures and tables; empty: artifacts/measurements/NAME")


def run(options: MeasureOptions) -> Path:
    """Measure, log, and return the folder of report, tables and figures; raises as ``score_files`` does."""
    names = _names(options)
    folder = Path(options.output) if options.output else artifacts_dir() / "measurements" / names[0].stem
    keys = score_files.read_keys(names[1])
    evaluations = [with_tandem(e, options) for e in assessed(keys, names, options.threshold)]
    rivals: list[Evaluation] = []
    if options.against:
        rivals = assessed(keys, (Path(options.against), names[1]), options.threshold)
        if [e.subset for e in rivals] != [e.subset for e in evaluations]:
            raise ConfigError(f"--against {options.against}: has scores of other subsets than {names[0]}")
    found = summarise(options, evaluations, rivals)
    with tracking.run(f"measure {names[0].stem}", stage="measure"), tempfile.TemporaryDirectory() as work:
        write(Path(work), found, evaluations, rivals)
        values = {name: value for e in evaluations for name, value in e.mlflow_metrics().items()}
        for subset, difference in (found.rival.differences if found.rival else {}).items():
            values |= difference[ALL].mlflow_metrics(f"{subset}/against")
        tables.log(Path(work), values)
        shutil.copytree(work, folder, dirs_exist_ok=True)
    return folder


def assessed(keys: "pd.DataFrame", names: tuple[Path, Path], threshold: float) -> list[Evaluation]:  # noqa: F821
    """Measure the scores of each subset of the keys; a subset without any score is left out, and said so."""
    trials = score_files.scored(keys, score_files.read_scores(names[0]), names)
    subsets = sorted(trials["split"].unique(), key=lambda name: (name == "eval", name))
    if left := sorted(set(keys["split"]) - set(subsets)):
        print(f"{names[0].name}: no scores of {', '.join(left)}, which {names[1].name} lists too")
    return [
        assess(
            trials[trials["split"] == subset].reset_index(drop=True),
            subset=subset,
            threshold=threshold,
            trained_attacks=None,
            conditions=manifest.conditions(keys),
        )
        for subset in track(subsets, total=len(subsets), what=f"measure {names[0].name}", unit="subset")
    ]


def with_tandem(evaluation: Evaluation, options: MeasureOptions) -> Evaluation:
    """Add the figures that need scores of a speaker verifier, if they are given."""
    added, trials = {}, (evaluation.scores, evaluation.labels)
    if options.asv_scores:
        asv = score_files.read_asv(Path(options.asv_scores), evaluation.subset)
        added = {f"min_tdcf_{form}": tandem.min_tdcf(*trials, asv, form) for form in tandem.FORMS}
        added["t_eer"] = tandem.t_eer(*trials, asv)
    if options.sasv_scores:
        added["a_dcf"] = tandem.a_dcf(score_files.read_asv(Path(options.sasv_scores), evaluation.subset))
    return dataclasses.replace(evaluation, metrics=evaluation.metrics | added)


def summarise(
    options: MeasureOptions, evaluations: Sequence[Evaluation], rivals: Sequence[Evaluation]
) -> EvaluationSummary:
    """Reduce the evaluations to the values that are shown and written."""
    scores, keys = _names(options)
    rival = None
    if rivals:
        at = {"threshold": options.threshold, "rival_threshold": options.threshold}
        differences = {
            own.subset: {ALL: paired_test.compare(own.trials, other.scores, **at)}
            for own, other in zip(evaluations, rivals, strict=True)
        }
        rival = RivalSummary(Path(options.against).stem, "", {e.subset: result(e) for e in rivals}, differences)
    return EvaluationSummary(
        model=ModelFacts(scores.stem, "", "", options.threshold, 0.5, None, None, slope=1.0, intercept=0.0),
        store=StoreFacts(keys.name, str(keys), "none", of_training=False),
        main=evaluations[-1].subset,
        data=tuple(_data(e) for e in evaluations),
        results={e.subset: result(e) for e in evaluations},
        operating_points=(),
        shortcuts=(),
        shortcut_warnings=(),
        clips=(),
        settings={"scores": str(scores), "keys": str(keys), "asv_scores": options.asv_scores},
        environment={},
        commands={"measure": provenance.command()},
        rival=rival,
        scores_of=scores.name,
    )


def write(
    folder: Path, found: EvaluationSummary, evaluations: Sequence[Evaluation], rivals: Sequence[Evaluation]
) -> None:
    """Write tables, figures, summary and report."""
    drawn = {}
    for number, own in enumerate(evaluations):
        drawn |= figures.of_subset(own, threshold=found.model.threshold)
        if rivals:
            drawn[f"{own.subset}/against"] = figures.two_systems(
                (found.model.version, found.rival.version),
                (own.scores, rivals[number].scores),
                own.labels,
                found.rival.differences[own.subset],
                subset=own.subset,
            )
    pictures = {name: style.png(figure) for name, figure in drawn.items()}
    figures.write(folder, pictures)
    tables.write(folder, evaluations, found.rival and found.rival.differences)
    found.write(folder)
    (folder / "report.html").write_text(report.html(found, pictures), encoding="utf-8")


def _names(options: MeasureOptions) -> tuple[Path, Path]:
    """Score file and key file; raises ``ConfigError`` unless there is one of each."""
    given = [*options.scores, *filter(None, [options.keys])]
    if len(given) != 2:
        raise ConfigError(f"{' '.join(given)!r}: expected a score file and a key file")
    return Path(given[0]), Path(given[1])


def _data(evaluation: Evaluation) -> SubsetData:
    trials, bonafide = evaluation.trials, int(evaluation.labels.sum())
    return SubsetData(
        evaluation.subset,
        bonafide=bonafide,
        spoof=len(trials) - bonafide,
        speakers=int(trials.loc[trials["speaker"] != "", "speaker"].nunique()),
        attacks=int(trials.loc[trials["label"] != BONAFIDE, "attack"].nunique()),
        hours=0.0,
    )


@cli.command(options=MeasureOptions)
def main(_: Config, options: MeasureOptions) -> int:
    """Entry point ``measure``."""
    folder = run(options)
    print(f"\n{plain_text.text(EvaluationSummary.read(folder))}\n")
    for what, name in (("report", "report.html"), ("tables", "attacks.csv"), ("scores", "scores.csv")):
        print(f"{what:<9}{folder / name}")
    return 0


if __name__ == "__main__":
    cli.run(main)
