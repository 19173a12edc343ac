"""Score recordings: read files, folders and tables of files; print a table or write a file of rows.

The score is the natural logarithm of the likelihood ratio of bonafide to spoof: positive for a live human, negative
for spoof.
"""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline import cli
from pipeline.audio import WHOLE, SpanOptions
from pipeline.common import spark
from pipeline.common.progress import track
from pipeline.common.spark import EngineOptions
from pipeline.config import BONAFIDE, MODEL_HELP, SPOOF, Config, option
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import FAMILIARITY
from pipeline.scoring import inputs, model_folders, spark_scoring, workers
from pipeline.scoring.detector import NO_SPEECH, PARTLY_SPOOF, UNFAMILIAR
from pipeline.scoring.inputs import Recording
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.row import Row
from pipeline.scoring.row_file import Done, RowFile

SOURCE_WIDTH = 44
HEADING = f"{'file':<{SOURCE_WIDTH}}  {'label':<12} {'score':>7} {'P(spoof)':>9} {'speech':>8} {'length':>8}"
Scorer = Callable[[Sequence[str]], Iterator[Row]]
"""Yields the row of each path, in order."""


@dataclass(frozen=True)
class ScoreOptions(SpanOptions, EngineOptions):
    """Recordings and model."""

    input: tuple[str, ...] = option(
        (), "files, folders, patterns, and tables (.csv, .tsv, .parquet) with a column path and perhaps label"
    )
    model: str = option("", MODEL_HELP)
    output: str = option(
        "",
        "file for all rows and columns (.csv, .jsonl, .parquet), or a score file of ASVspoof 5 (.tsv); "
        "empty: a table is printed",
    )
    operating_point: str = option("", "named threshold of the model (eer, min_dcf); empty: the model's default")
    threshold: float | None = option(
        None, "score from which a recording counts as bonafide; replaces the operating point"
    )
    familiarity: float = option(
        FAMILIARITY, "share of dev under which speech is unfamiliar and gets no verdict; 0: all gets one", least=0
    )
    label_one: str = option(
        "none", "class of the label 1 in a table whose labels are 1 and 0", choices=(BONAFIDE, SPOOF, "none")
    )
    processes: int = option(0, "processes that score on this machine; 0: one per core", least=0)


@cli.command(options=ScoreOptions)
def main(_: Config, options: ScoreOptions) -> int:
    """Entry point ``score``; returns 1 if a recording could not be scored."""
    options.check()
    span = options.span
    if options.engine == "spark" and span != WHOLE:
        raise ConfigError("--start and --end: --engine spark scores whole recordings; leave them or the engine out")
    recordings = inputs.find(options.input, options.label_one)
    model_uri = _registered(options.model) if options.engine == "spark" else options.model
    model = ModelFolder.load(model_folders.find(model_uri))
    point = model.point(options.operating_point, options.threshold, options.familiarity)
    named = "given" if options.threshold is not None else options.operating_point or model.operating_point
    print(f"model {model.model_version}, bonafide from a score of {point.threshold:+.2f} on ({named})", file=sys.stderr)
    if options.engine == "spark":
        scorer = partial(_on_cluster, options, model_uri)
    else:
        scorer = partial(workers.rows, model, point=point, processes=options.processes, span=span)
    if options.output:
        made_with = {"model": model.model_version, "fingerprint": model.fingerprint, **dataclasses.asdict(point)}
        made_with |= dataclasses.asdict(span) if span != WHOLE else {}
        done = _write(Path(options.output), made_with, recordings, scorer)
    else:
        done = _print(recordings, scorer)
    counts = Counter(row.label for row in done)
    labels = ", ".join(f"{counts[label]} {label}" for label in (BONAFIDE, PARTLY_SPOOF, SPOOF, UNFAMILIAR, NO_SPEECH))
    print(f"{len(done)} recordings: {labels}, {counts['']} could not be scored", file=sys.stderr)
    if any(recording.label for recording in recordings):
        print(_metrics(recordings, done, point.threshold))
    return 1 if counts[""] else 0


def _registered(model: str) -> str:
    """URI of the registered model for a cluster; by default the champion."""
    from pipeline.register import CHAMPION, REGISTERED_MODEL

    uri = model or f"models:/{REGISTERED_MODEL}@{CHAMPION}"
    if not uri.startswith("models:/"):
        raise ConfigError(
            f"--model {model}: --engine spark needs a registered model; register this one and name it "
            f"models:/{REGISTERED_MODEL}@candidate, or by its version"
        )
    return uri


def _on_cluster(options: ScoreOptions, model_uri: str, paths: Sequence[str]) -> Iterator[Row]:
    if paths:
        with spark.session(options.master, "score") as session:
            yield from spark_scoring.rows(
                session,
                model_uri,
                paths,
                operating_point=options.operating_point,
                threshold=options.threshold,
                familiarity=options.familiarity,
            )


def _print(recordings: Sequence[Recording], scorer: Scorer) -> list[Done]:
    done = []
    for row in scorer([recording.path for recording in recordings]):
        if not done:
            print(HEADING)
        print(_line(row), flush=True)
        done.append(Done(row.score, row.label))
    return done


def _line(row: Row) -> str:
    """A row under ``HEADING``: the end of a long name, and an error in place of the figures."""
    name = row.source if len(row.source) <= SOURCE_WIDTH else "…" + row.source[-SOURCE_WIDTH + 1 :]
    if row.error:
        return f"{name:<{SOURCE_WIDTH}}  error     {row.error}"
    note = f"  {row.attack}" if row.attack else ""
    note += f"  {row.note}" if row.note else ""
    return (
        f"{name:<{SOURCE_WIDTH}}  {row.label:<12} {row.score:>+7.2f} {row.spoof_probability:>9.3f} "
        f"{row.speech_s:>6.1f} s {row.duration_s:>6.1f} s{note}"
    )


def _write(output: Path, made_with: dict[str, object], recordings: Sequence[Recording], scorer: Scorer) -> list[Done]:
    paths = [recording.path for recording in recordings]
    with RowFile(output, made_with, paths) as file:
        missing = [path for path in paths if path not in file]
        before = len(paths) - len(missing)
        if before:
            print(f"resuming: {output}.part has {before} recordings", file=sys.stderr)
        for row in track(scorer(missing), total=len(paths), what="score", unit="recording", done=before):
            file.add(row)
        file.finish()
        print(f"all columns: {output}")
        return [file.done_with(path) for path in paths]


def _metrics(recordings: Sequence[Recording], done: Sequence[Done], threshold: float) -> str:
    """Figures of merit of the labelled recordings, as lines; undefined ones are left out."""
    import pandas as pd

    from pipeline.metrics.assessment import assess

    scored = [(r, d.score) for r, d in zip(recordings, done, strict=True) if r.label and d.score is not None]
    trials = pd.DataFrame([dataclasses.asdict(r) for r, _ in scored], columns=["path", "label", "speaker", "attack"])
    trials = trials.rename(columns={"path": "utterance_id"}).assign(score=[score for _, score in scored])
    found = assess(trials, subset="labelled", threshold=threshold, trained_attacks=None)
    note = f" ({found.note})" if found.note else ""
    lines = [f"{len(trials)} labelled recordings with a score{note}"]
    lines += [f"{name:<24}{value:>9.4f}" for name, value in found.metrics.items()]
    lines += [f"{'eer of ' + g.name:<24}{g.eer:>9.4f}  {g.note}".rstrip() for g in found.groups if g.kind == "attack"]
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
