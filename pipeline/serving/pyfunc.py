"""Registered model: MLflow's ``pyfunc`` interface as a thin shell over the detector.

MLflow runs this file as "model from code" when it loads the model, whose artifact ``bundle`` is the model folder. An
input row holds one recording: in the column ``audio`` as bytes or base64 text, or in the column ``path`` as the name of
a file that the server may read. It gives one output row; a recording that cannot be scored has the reason in its row.
Limits come from ``serving.settings``.
"""

import base64
import dataclasses
import math
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.scoring_server import _SERVER_MODEL_PATH

from pipeline.audio import Source
from pipeline.errors import AudioError, AudioFault, ConfigError
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.pool import Pool
from pipeline.scoring.row import Row
from pipeline.serving import guard, settings
from pipeline.serving.files import ServedFiles
from pipeline.serving.latency_log import LatencyLog
from pipeline.serving.row_log import RowLog
from pipeline.serving.telemetry import Telemetry

COLUMNS = ("audio", "path")


class SpoofDetector(mlflow.pyfunc.PythonModel):
    """Turn rows of recordings into rows of scores; may be called from several threads."""

    def load_context(self, context):
        """Load the model folder and its interpreters; in a server, install the guard and the latency log."""
        self.settings = settings.read()
        self.files = ServedFiles(Path(self.settings.root) if self.settings.root else None)
        self.pool = Pool(ModelFolder.load(context.artifacts["bundle"]), self.settings.detectors)
        self.threads = ThreadPoolExecutor(self.pool.size, "score")
        self.log = LatencyLog(Path(self.settings.log) if self.settings.log else None, self.settings.log_every_s)
        self.row_log = RowLog(Path(self.settings.rows), 1e6 * self.settings.rows_mb) if self.settings.rows else None
        self.telemetry = Telemetry() if self.settings.metrics else None
        self.is_served = _SERVER_MODEL_PATH in os.environ
        if self.is_served:
            guard.install(self.settings, self.log, self.telemetry)
            self.log.start()

    def predict(self, context, model_input: pd.DataFrame, params=None):
        """Score the columns ``audio`` and ``path``; the columns of the result are those of ``scoring.row.Row``.

        ``params`` may hold ``operating_point`` (a name), ``threshold`` (NaN: the operating point's) and ``windows``
        (true: a row per window of each recording). The result is a table, in a server the list of its rows.
        """
        params = params or {}
        until = time.monotonic() + self.settings.max_request_s
        threshold = params.get("threshold", float("nan"))
        threshold = None if math.isnan(threshold) else float(threshold)
        try:
            point = self.pool.model.point(params.get("operating_point", ""), threshold, self.settings.familiarity)
        except ConfigError as error:
            raise MlflowException(str(error), BAD_REQUEST) from None
        given = self._given(model_input)
        timeline = bool(params.get("windows", False))

        def score(number: int) -> list[Row]:
            return self._score(number, given[number], point, timeline, until)

        # Rows of all requests share the pool. A single row needs no other thread.
        spread: Callable = map if len(given) == 1 else self.threads.map
        rows = [row for found in spread(score, range(len(given))) for row in found]
        # Lists spare the server the conversion of a table, a third of its work besides scoring. Objects keep missing
        # values None, which becomes null: JSON has no NaN.
        records = [dataclasses.asdict(row) for row in rows]
        if self.row_log and not timeline:
            self.row_log.add(rows)
        if self.telemetry and not timeline:
            self.telemetry.rows(records)
        return records if self.is_served else pd.DataFrame(records, dtype=object)

    def _given(self, model_input: pd.DataFrame) -> list[dict[str, object]]:
        """Filled columns of each input row."""
        if len(model_input) > self.settings.max_rows:
            raise MlflowException(
                f"{len(model_input)} rows: at most {self.settings.named('max_rows', 'rows')} per request", BAD_REQUEST
            )
        columns = [column for column in COLUMNS if column in model_input]
        if not columns or not len(model_input):
            raise MlflowException(f"no rows with a column {' or '.join(COLUMNS)} were sent", BAD_REQUEST)
        rows = zip(*(model_input[column] for column in columns), strict=True)
        return [{name: v for name, v in zip(columns, row, strict=True) if not _is_missing(v)} for row in rows]

    def _score(
        self, number: int, given: dict[str, object], point: OperatingPoint, timeline: bool, until: float
    ) -> list[Row]:
        started = time.perf_counter()
        source = str(given["path"]) if "path" in given else f"row {number}"
        try:
            if time.monotonic() > until:
                limit = self.settings.named("max_request_s", "s")
                raise AudioError(AudioFault.LATE, f"not begun within {limit}; send fewer rows per request")
            recording = self._recording(given)
        except Exception as error:  # no row may end a request
            reason = str(AudioError.of(error))
            found = [Row(source, model_version=self.pool.model.model_version, latency_ms=0.0, error=reason)]
        else:
            with self.pool.detector() as detector:
                found = detector.rows(source, recording, point=point, timeline=timeline, limits=self.settings.limits)
        self.log.clip(
            1000 * (time.perf_counter() - started),
            duration_s=found[0].duration_s or 0.0,
            failed=bool(found[0].error),
        )
        return found

    def _recording(self, given: dict[str, object]) -> Source:
        if len(given) != 1:
            raise AudioError(
                AudioFault.AMBIGUOUS if given else AudioFault.EMPTY, f"a row holds either {' or '.join(COLUMNS)}"
            )
        if "path" in given:
            return self.files.find(str(given["path"]))
        recording = given["audio"]
        if isinstance(recording, str):
            return from_text(recording)
        if not isinstance(recording, bytes):
            raise AudioError(
                AudioFault.UNREADABLE, f"the column audio holds {type(recording).__name__} in place of base64 text"
            )
        return recording


def from_text(text: str) -> bytes:
    """Bytes of base64 text, which may be a data URL (``data:audio/wav;base64,…``) and may hold line breaks."""
    head, comma, rest = text.partition(",")
    encoded = rest if comma and re.fullmatch(r"(?is)\s*data:.*;\s*base64\s*", head) else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise AudioError(AudioFault.UNREADABLE, "the text in the column audio is not base64") from None


def _is_missing(value: object) -> bool:
    """Whether a row lacks a value: MLflow fills gaps in ``instances`` with "None", pandas with NaN."""
    return value is None or value != value or value in ("", "None")


mlflow.models.set_model(SpoofDetector())
