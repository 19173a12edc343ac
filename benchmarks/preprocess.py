"""``preprocess``, ``preprocess_of_decoding``, ``preprocess_unchanged``: the stage, decoding alone, and a rerun.

The files are the demo corpus in mixed formats, 8 copies each. The stage is everything between start-up and its last
line: reading of the corpus, Store, figures, shortcut audit and MLflow run. Decoding and resampling alone, on all cores,
is the limit of any preprocessing of the same files.
"""

import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks import compared, notebook, recordings
from benchmarks.compared import Figure, Line
from pipeline import cli, corpora, preprocess
from pipeline.common import parallel
from pipeline.config import PROJECT_ROOT, SAMPLE_RATE_HZ, Config, artifacts_dir, option

SECTIONS = ("corpus", "audio")
CHUNK_FILES = 32


@dataclass(frozen=True)
class Options(compared.Options):
    """Size of the corpora."""

    copies: int = option(8, "copies of each recording of the corpus")
    names: int = option(50000, "utterances of the corpus that is preprocessed again unchanged")


QUICK = {"copies": 1, "names": 200}


def decode_files(paths: list[str]) -> None:
    """Read and resample files; discard the result."""
    import soundfile
    import soxr

    for path in paths:
        wave, rate_hz = soundfile.read(path, dtype="float32")
        if rate_hz != SAMPLE_RATE_HZ:
            soxr.resample(wave, rate_hz, SAMPLE_RATE_HZ)


def decode_on_all_cores(paths: list[str]) -> None:
    """Run ``decode_files`` in as many processes as preprocessing uses."""
    chunks = [paths[first : first + CHUNK_FILES] for first in range(0, len(paths), CHUNK_FILES)]
    with ProcessPoolExecutor(parallel.cores(), mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(decode_files, chunks))


@contextlib.contextmanager
def own_places() -> Iterator[dict[str, str]]:
    """Keep artifacts and MLflow runs in a temporary folder; yields the environment variables that name it."""
    before = dict(os.environ)
    # Not in memory: a Store is written to a disk.
    (artifacts_dir() / "benchmarks").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifacts_dir() / "benchmarks") as place:
        own = {"SPOOF_ARTIFACTS": place, "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
        os.environ.update(own)
        try:
            yield own
        finally:
            os.environ.clear()
            os.environ.update(before)


def cold(config: Config) -> float:
    """Seconds of the stage without a Store; creating MLflow's database is not counted."""
    with own_places(), contextlib.redirect_stdout(io.StringIO()):
        import mlflow

        mlflow.search_experiments()
        started = time.perf_counter()
        preprocess.ensure(config, aside=False)
        return time.perf_counter() - started


def again(config: Config) -> float:
    """Seconds of a whole process whose Store is up to date."""
    command = [sys.executable, "-m", "pipeline.preprocess", "--corpus", config.corpus.corpus]
    command += ["--data_dir", config.corpus.data_dir]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout, done.stdout
    return time.perf_counter() - started


def made(config: Config, options: Options) -> list[Line]:
    """Measure ``preprocess`` and ``preprocess_of_decoding``."""
    table, _ = corpora.read(config.corpus)
    paths = table["path"].tolist()
    notebook.extract_all(paths[:1])  # librosa compiles and imports on its first call
    ours, loop, loading, limit = (
        "preprocess, the whole stage",
        "the notebook's loop, one process",
        "that loop without the mel",
        f"decoding and resampling alone, {parallel.cores()} processes",
    )
    contenders = {
        ours: lambda: cold(config),
        loop: lambda: _seconds(notebook.extract_all, paths),
        loading: lambda: _seconds(notebook.load_all, paths),
        limit: lambda: _seconds(decode_on_all_cores, paths),
    }
    cold(config)  # the first one imports MLflow and matplotlib
    taken = compared.measured(contenders, repetitions=options.repetitions)
    note = f"{len(paths)} files in {len(recordings.FORMATS)} formats on {parallel.cores()} cores"
    decoding = "decoding and resampling alone"
    first = [
        Figure(name, compared.ratios(rival, taken[ours]), target, False, compared.ratios(rival, taken[limit]), decoding)
        for name, rival, target in (
            ("× the notebook's loop", taken[loop], 10),
            ("× the loop without the mel", taken[loading], 3),
        )
    ]
    second = [Figure("of decoding's speed", compared.ratios(taken[limit], taken[ours]), 0.8)]
    return [
        Line("preprocess", "preprocess, cold Store", "the notebook's loop", first, taken, note=note),
        Line(
            "preprocess_of_decoding",
            "preprocess, cold Store",
            "decoding and resampling alone, all cores",
            second,
            note=note,
        ),
    ]


def unchanged(small: Config, large: Config, options: Options) -> Line:
    """Measure ``preprocess_unchanged``."""
    sizes = {len(corpora.read(config.corpus)[0]): config for config in (small, large)}
    with own_places(), contextlib.redirect_stdout(sys.stderr):
        for config in sizes.values():
            preprocess.ensure(config, aside=False)
        contenders = {f"{count} utterances": lambda c=config: again(c) for count, config in sizes.items()}
        taken = compared.measured(contenders, repetitions=options.repetitions)
    few, lots = (taken[f"{count} utterances"] for count in sizes)
    beyond = (max(sizes) - min(sizes)) / 100_000
    figures = [
        Figure(f"s at {min(sizes)} utterances", few, 3, at_most=True),
        Figure("s more for 100,000 utterances", [(b - a) / beyond for a, b in zip(few, lots, strict=True)], 1, True),
    ]
    return Line("preprocess_unchanged", "preprocess again, nothing changed", "whole process", figures, taken)


def _seconds(work, *arguments) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its lines."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    mixed = recordings.mixed(config, copies=options.copies)
    many = recordings.many(artifacts_dir() / "benchmarks" / "recordings", options.names)
    return compared.finish([*made(mixed, options), unchanged(mixed, many, options)], options)


if __name__ == "__main__":
    cli.run(main)
