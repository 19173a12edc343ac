"""The notebook's function behind MLflow's server: a model from code, for the comparison of servers."""

import base64
import io

import mlflow
import pandas as pd

from benchmarks import notebook


class NotebookModel(mlflow.pyfunc.PythonModel):
    """Turn rows of recordings (base64 in the column ``audio``) into rows with a probability."""

    def load_context(self, context):
        """Read the network's file."""
        import keras

        self.model = keras.models.load_model(context.artifacts["network"])

    def predict(self, context, model_input: pd.DataFrame, params=None):
        """Apply ``notebook.predict_audio`` to each row."""
        files = [io.BytesIO(base64.b64decode(text)) for text in model_input["audio"]]
        return pd.DataFrame([{"score": notebook.predict_audio(self.model, file), "error": ""} for file in files])


mlflow.models.set_model(NotebookModel())
