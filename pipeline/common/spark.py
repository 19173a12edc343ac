"""Spark: a session on a cluster, and the functions that run on it.

The driver is the command itself. Recordings, the artifacts folder and the environment have the same paths on every
machine, as on a shared file system. Work of a lost machine is repeated by another. Nothing is lost or doubled: shards
are renamed into place when complete, and rows reach the driver's file in whole batches.
"""

import itertools
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.config import option
from pipeline.errors import ConfigError, ProjectError

T = TypeVar("T")
PARTITION_RECORDINGS = 128
"""Recordings per Spark task: the work to repeat when a machine is lost."""
PROGRESS_S = 0.5


@dataclass(frozen=True)
class EngineOptions:
    """Machines that do the work."""

    engine: str = option("local", "engine: all cores of this machine, or a Spark cluster", choices=("local", "spark"))
    master: str = option("", "address of the Spark cluster, spark://HOST:7077; local[N]: N cores of this machine")

    def check(self) -> None:
        """Raise ``ConfigError`` if one option lacks the other."""
        if self.engine == "spark" and not self.master:
            raise ConfigError("--engine spark: name the cluster, as --master spark://HOST:7077")
        if self.engine != "spark" and self.master:
            raise ConfigError(f"--master {self.master} is for --engine spark; give that as well")


LOCAL = EngineOptions()


@contextmanager
def session(master: str, name: str) -> Iterator["SparkSession"]:  # noqa: F821
    """Spark session on a cluster whose workers can import this project, for the duration of the block.

    Raises ``ProjectError`` if pyspark or Java is missing, or the cluster cannot be reached.
    """
    try:
        with warnings.catch_warnings():
            # It warns of pandas 3; only MLflow hands data frames to Spark, in ways that tests cover.
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
        # A batch of rows is one request to the model, no larger than a task.
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
        raise ProjectError(f"--master {master}: no session could be had: {cause(error)}") from None
    try:
        with tempfile.TemporaryDirectory() as folder:
            spark.sparkContext.addPyFile(str(_package(Path(folder) / "pipeline.zip")))
            yield spark
    finally:
        spark.stop()


def each(spark: "SparkSession", function: Callable[[T], int], tasks: Sequence[T]) -> Iterator[int]:  # noqa: F821
    """Call a function once per task on the cluster; yields the sum of the results since the last yield.

    A task whose machine was lost runs again elsewhere and counts once.
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
        raise ProjectError(f"Spark gave up: {cause(error)}")


def _package(archive: Path) -> Path:
    """Pack the driver's copy of this package as an archive that Python can import from."""
    folder = Path(__file__).parent.parent
    with zipfile.ZipFile(archive, "w") as file:
        for module in sorted(folder.rglob("*.py")):
            file.write(module, module.relative_to(folder.parent))
    return archive


def cause(error: BaseException) -> str:
    """Line of a Spark error (often hundreds long) that names the cause in Python or in the JVM."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    if python:
        of_jvm = ("at ", "Driver stacktrace")
        return list(itertools.takewhile(lambda line: not line.startswith(of_jvm), lines[python[0] :]))[-1]
    caused = [line for line in lines if "Exception: " in line]
    return (caused or lines or [type(error).__name__])[-1]
