"""The registered model: MLflow's ``pyfunc`` interface as a thin shell over the detector.

MLflow runs this file as "model from code" when it loads the model; the model folder travels as its artifact
``bundle``. One input row holds one recording as bytes (in JSON and CSV as base64 text) and gives one row of output;
what cannot be scored says so in its row.
"""

import base64
import binascii
import dataclasses

import mlflow
import pandas as pd

from pipeline.bundle import Bundle
from pipeline.detector import Detector, Row


class SpoofDetector(mlflow.pyfunc.PythonModel):
    """Rows of recordings in, rows of scores out."""

    def load_context(self, context):
        """Read the model folder and make the interpreter ready."""
        self.detector = Detector(Bundle.load(context.artifacts["bundle"]))

    def predict(self, context, model_input: pd.DataFrame, params=None):
        """Score the column ``audio``; the columns of the result are those of ``detector.Row``.

        ``params`` may hold ``operating_point`` (a name) and ``threshold`` (NaN: the operating point's).
        """
        params = params or {}
        point, threshold = params.get("operating_point", ""), params.get("threshold", float("nan"))
        given = model_input["audio"] if "audio" in model_input else [None] * len(model_input)
        rows = [
            self._row(f"row {number}", value, point, None if threshold != threshold else float(threshold))
            for number, value in enumerate(given)
        ]
        # Objects, so that what is missing becomes null: NaN is no JSON.
        return pd.DataFrame([dataclasses.asdict(row) for row in rows], dtype=object)

    def _row(self, source: str, value: bytes | str | None, point: str, threshold: float | None) -> Row:
        version = self.detector.bundle.model_version
        try:
            recording = base64.b64decode(value, validate=True) if isinstance(value, str) else value
        except binascii.Error:
            return Row(source, model_version=version, error="unreadable: the text is not base64")
        if not isinstance(recording, bytes) or not recording:
            return Row(source, model_version=version, error="empty: no audio, or text that is not base64")
        return self.detector.row(source, recording, operating_point=point, threshold=threshold)


mlflow.models.set_model(SpoofDetector())
