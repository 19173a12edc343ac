"""Score recordings: files and folders in, a table and a file of rows out.

A positive score speaks for a live human, a negative one for spoof; it is the natural logarithm of how much likelier
the recording is under bonafide than under spoof.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import bundle, cli, rows
from pipeline.config import option
from pipeline.detector import Detector, Row
from pipeline.errors import ConfigError

SECTIONS = ()


@dataclass(frozen=True)
class ScoreOptions:
    """What to score, and with which model."""

    input: tuple[str, ...] = option((), "files and folders; of a folder every file with an audio suffix")
    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion that register left")
    output: str = option("", "file for all rows and columns: .csv, .jsonl or .parquet")
    operating_point: str = option("", "named threshold of the model (eer, min_dcf); empty: the model's default")
    threshold: str = option("", "score from which a recording counts as bonafide, instead of an operating point")


OPTIONS = ScoreOptions


def recordings(inputs: tuple[str, ...]) -> list[Path]:
    """The files to score, in order; folders are searched. Raises ``ConfigError`` where there is none."""
    found: list[Path] = []
    for given in inputs:
        place = Path(given).expanduser()
        found += _audio_in(place) if place.is_dir() else [place]
    if not found:
        raise ConfigError(f"nothing to score in {', '.join(inputs) or 'no input'}: name audio files or folders of them")
    return found


def score(options: ScoreOptions) -> Iterator[Row]:
    """Rows of the options' recordings, one after another."""
    files = recordings(options.input)
    threshold = _threshold(options.threshold)
    model = bundle.Bundle.load(bundle.find(options.model))
    point = model.point(options.operating_point)
    detector = Detector(model)
    limit = point.threshold if threshold is None else threshold
    named = "given" if threshold is not None else options.operating_point or model.operating_point
    print(f"model {model.model_version}, bonafide from a score of {limit:+.2f} on ({named})", file=sys.stderr)
    for path in files:
        yield detector.row(str(path), path, operating_point=options.operating_point, threshold=threshold)


def main(argv: list[str] | None = None) -> int:
    """Entry point ``score``; 1 when a recording could not be scored."""
    _, options = cli.parse(__doc__, sections=SECTIONS, options=OPTIONS, argv=argv, prog="python -m pipeline.score")
    output = Path(options.output) if options.output else None
    if output:
        rows.check_output(output)
    done = []
    for row in score(options):
        if not done:
            print(rows.heading())
        print(rows.line(row), flush=True)
        done.append(row)
    failed = sum(bool(row.error) for row in done)
    if failed:
        print(f"{failed} of {len(done)} recordings could not be scored", file=sys.stderr)
    if output:
        rows.write(output, done)
        print(f"all columns: {output}")
    return 1 if failed else 0


def _audio_in(folder: Path) -> list[Path]:
    from pipeline.audio import SUFFIXES

    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _threshold(given: str) -> float | None:
    try:
        return float(given) if given else None
    except ValueError:
        raise ConfigError(f"--threshold {given!r}: expected a number") from None


if __name__ == "__main__":
    cli.run(main)
