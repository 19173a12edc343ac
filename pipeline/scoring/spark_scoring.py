"""Scoring on a Spark cluster by the registered model as a Spark function; rows come in the order of the recordings."""

import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from pipeline.common import spark
from pipeline.errors import ConfigError, ProjectError
from pipeline.metrics.calibration import FAMILIARITY
from pipeline.scoring.row import Row

BATCH_RECORDINGS = 200_000
"""Recordings per Spark job, and so rows in the driver's memory at once."""


def rows(
    session: "SparkSession",  # noqa: F821
    model_uri: str,
    paths: Sequence[str],
    *,
    operating_point: str = "",
    threshold: float | None = None,
    familiarity: float = FAMILIARITY,
) -> Iterator[Row]:
    """The row of each recording, in order, from the registered model ``models:/…``.

    Raises ``ConfigError`` for names that are not Unicode, which Spark cannot carry.
    """
    _check_names(paths)
    from mlflow import pyfunc
    from pyspark.sql.functions import struct

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns that paths must be the same everywhere
    score = pyfunc.spark_udf(
        session,
        model_uri,
        result_type=", ".join(f"{f.name} {'string' if f.type is str else 'double'}" for f in fields(Row)),
        env_manager="local",
        params={"operating_point": operating_point, "threshold": float("nan") if threshold is None else threshold},
        extra_env=_AS_LOCAL | {"SPOOF_SERVE_FAMILIARITY": f"{familiarity:g}"},
    )
    remaining = iter(paths)
    while batch := list(itertools.islice(remaining, BATCH_RECORDINGS)):
        numbered = [(number, os.path.abspath(path)) for number, path in enumerate(batch)]
        slices = -(-len(batch) // spark.PARTITION_RECORDINGS)
        table = session.createDataFrame(session.sparkContext.parallelize(numbered, slices), "number int, path string")
        try:
            scored = table.select("number", score(struct("path")).alias("row")).collect()
        except Exception as error:
            raise ProjectError(f"Spark gave up: {spark.cause(error)}") from None
        for number, row in sorted(scored):
            yield replace(Row(**row.asDict()), source=batch[number])


_AS_LOCAL = {
    f"SPOOF_SERVE_{name}": value
    for name, value in {
        "ROOT": "/",
        "DETECTORS": "1",
        "MAX_ROWS": str(spark.PARTITION_RECORDINGS),
        "MAX_REQUEST_S": "1e9",
        "MAX_RECORDING_MB": "1e12",
        "MAX_RECORDING_S": "1e9",
        "MAX_CHANNELS": "32",
        "MAX_RATE_HZ": "384000",
        "MAX_SAMPLES": str(10**15),
    }.items()
}
"""Settings under which the registered model takes the same files as ``score`` on one machine; the limits of a server
are for strangers. Spark runs one process per core, so each has one detector."""


def _check_names(paths: Sequence[str]) -> None:
    for path in paths:
        if not path.isascii() and path != path.encode("utf-8", "replace").decode():
            shown = path.encode("utf-8", "backslashreplace").decode()
            raise ConfigError(
                f"{shown}: the name is not Unicode, which Spark cannot carry; score it with --engine local"
            )
