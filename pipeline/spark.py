"""Spark: preprocessing and scoring on a cluster, by the same functions as on one machine.

The driver is the command itself. Recordings, the artifacts folder and the environment lie at the same paths on every
machine, as on a shared file system. What a lost machine did not complete is done again by another; shards are renamed
into place when they are complete, and rows reach the driver's file once a whole batch of them is there, so nothing is
lost or doubled.
"""

import itertools
import logging
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from pipeline.config import option
from pipeline.detector import Row
from pipeline.errors import ConfigError, ProjectError

T = TypeVar("T")
PARTITION_RECORDINGS = 128
"""Recordings that a task of Spark scores: what is done again when a machine is lost."""
BATCH_RECORDINGS = 200_000
"""Recordings a job of Spark: rows that the driver holds at once."""
PROGRESS_S = 0.5


@dataclass(frozen=True)
class EngineOptions:
    """Where the work is done."""

    engine: str = option(
        "local", "what does the work: all cores of this machine, or a Spark cluster", choices=("local", "spark")
    )
    master: str = option("", "address of the Spark cluster, spark://HOST:7077; local[N]: N cores of this machine")

    def check(self) -> None:
        """Raise ``ConfigError`` where one option lacks the other."""
        if self.engine == "spark" and not self.master:
            raise ConfigError("--engine spark: name the cluster, as --master spark://HOST:7077")
        if self.engine != "spark" and self.master:
            raise ConfigError(f"--master {self.master} is for --engine spark; give that as well")


LOCAL = EngineOptions()


@contextmanager
def session(master: str, name: str) -> Iterator["SparkSession"]:  # noqa: F821
    """A Spark session on a cluster whose workers can import this project, for the block alone.

    Raises ``ProjectError`` where pyspark or Java is missing, and where the cluster cannot be reached.
    """
    try:
        with warnings.catch_warnings():
            # It warns of pandas 3, whose data frames are handed to Spark by MLflow alone, in ways that tests pass.
            warnings.simplefilter("ignore", FutureWarning)
            from pyspark.errors import PySparkRuntimeError
            from pyspark.sql import SparkSession
    except ImportError:
        raise ProjectError("--engine spark: pyspark is not installed; make spark") from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName(name)
    settings = {
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        # A batch of rows is one request to the model, and must not take many times what a task takes.
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(PARTITION_RECORDINGS),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        spark = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise ProjectError(
            f"--engine spark: Java does not start ({str(error).splitlines()[0]}); install Java 17 "
            "(apt-get install default-jre-headless) or set JAVA_HOME"
        ) from None
    except Exception as error:  # the JVM's, whatever class Spark gave it
        raise ProjectError(f"--master {master}: no session could be had: {_cause(error)}") from None
    try:
        with tempfile.TemporaryDirectory() as folder:
            spark.sparkContext.addPyFile(str(_package(Path(folder) / "pipeline.zip")))
            yield spark
    finally:
        spark.stop()


def each(spark: "SparkSession", function: Callable[[T], int], tasks: Sequence[T]) -> Iterator[int]:  # noqa: F821
    """Call a function once for each task, spread over the cluster; yields what it returned, summed since last time.

    A task whose machine was lost is called again elsewhere, and counted once.
    """
    context = spark.sparkContext
    total = context.accumulator(0)
    work = context.parallelize(tasks, len(tasks))
    seen = 0
    with ThreadPoolExecutor(1) as waiting:
        job = waiting.submit(work.foreach, lambda task: total.add(function(task)))
        try:
            while not job.done():
                wait([job], PROGRESS_S)
                yield total.value - seen
                seen = total.value
        finally:
            context.cancelAllJobs()
    if (error := job.exception()) is not None:
        raise ProjectError(f"Spark gave up: {_cause(error)}")


def rows(
    spark: "SparkSession",  # noqa: F821
    model_uri: str,
    paths: Sequence[str],
    *,
    operating_point: str = "",
    threshold: float | None = None,
) -> Iterator[Row]:
    """The row of each recording, in order, from the registered model (``models:/…``) as a Spark function.

    Raises ``ConfigError`` for names that are not Unicode, which Spark cannot carry.
    """
    _check_names(paths)
    from mlflow import pyfunc
    from pyspark.sql.functions import struct

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of what this module's first lines demand
    score = pyfunc.spark_udf(
        spark,
        model_uri,
        result_type=", ".join(f"{f.name} {'string' if f.type is str else 'double'}" for f in fields(Row)),
        env_manager="local",
        params={"operating_point": operating_point, "threshold": float("nan") if threshold is None else threshold},
        extra_env=_AS_LOCAL,
    )
    remaining = iter(paths)
    while batch := list(itertools.islice(remaining, BATCH_RECORDINGS)):
        numbered = [(number, os.path.abspath(path)) for number, path in enumerate(batch)]
        slices = -(-len(batch) // PARTITION_RECORDINGS)
        table = spark.createDataFrame(spark.sparkContext.parallelize(numbered, slices), "number int, path string")
        try:
            scored = table.select("number", score(struct("path")).alias("row")).collect()
        except Exception as error:
            raise ProjectError(f"Spark gave up: {_cause(error)}") from None
        for number, row in sorted(scored):
            yield replace(Row(**row.asDict()), source=batch[number])


_AS_LOCAL = {
    f"SPOOF_SERVE_{name}": value
    for name, value in {
        "ROOT": "/",
        "DETECTORS": "1",
        "MAX_ROWS": str(PARTITION_RECORDINGS),
        "MAX_REQUEST_S": "1e9",
        "MAX_RECORDING_MB": "1e12",
        "MAX_RECORDING_S": "1e9",
        "MAX_CHANNELS": "32",
        "MAX_RATE_HZ": "384000",
        "MAX_SAMPLES": str(10**15),
    }.items()
}
"""Settings of the registered model under which it reads any file and decodes what ``score`` does on one machine: those
of a server are meant for strangers. Spark runs a process for each core, so each has one detector."""


def _check_names(paths: Sequence[str]) -> None:
    for path in paths:
        if not path.isascii() and path != path.encode("utf-8", "replace").decode():
            shown = path.encode("utf-8", "backslashreplace").decode()
            raise ConfigError(
                f"{shown}: its name is not Unicode, which Spark cannot carry; score it with --engine local"
            )


def _package(archive: Path) -> Path:
    """This package as an archive that Python can import from, as the driver has it."""
    folder = Path(__file__).parent
    with zipfile.ZipFile(archive, "w") as file:
        for module in sorted(folder.rglob("*.py")):
            file.write(module, module.relative_to(folder.parent))
    return archive


def _cause(error: BaseException) -> str:
    """The line of a Spark error, often hundreds of them long, that says what went wrong in Python or in the JVM."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    if python:
        of_jvm = ("at ", "Driver stacktrace")
        return list(itertools.takewhile(lambda line: not line.startswith(of_jvm), lines[python[0] :]))[-1]
    caused = [line for line in lines if "Exception: " in line]
    return (caused or lines or [type(error).__name__])[-1]
