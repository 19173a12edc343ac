"""The progress of one epoch, step by step, shown as every other progress is."""

import keras

from pipeline.common.progress import track


class StepProgress(keras.callbacks.Callback):
    """Shows each finished step of ``fit``, out of ``steps``, under the name ``what``."""

    def __init__(self, steps: int, what: str):
        super().__init__()
        self._steps = track(range(steps), total=steps, what=what, unit="step")

    def on_train_begin(self, logs=None):
        next(self._steps)

    def on_train_batch_end(self, batch, logs=None):
        next(self._steps, None)
