"""LiteRT and nothing else: the upper limit of any scoring with a model on these cores."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline import audio
from pipeline.audio import speech, windows
from pipeline.common import parallel
from pipeline.scoring.detector import BATCH_WINDOWS
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.runtimes import LiteRt


def cut(model: ModelFolder, recording: audio.Source) -> np.ndarray:
    """Windows of a recording as the detector cuts them, ``[windows, clip_samples]``."""
    wave = audio.decode(recording, config=model.config.audio)
    found, window = speech.find(wave), model.config.window
    starts = windows.counted(found, window.clip_samples, window.windows)
    return np.stack([windows.cut(wave[: found.end], start, window) for start in starts])


class Loops:
    """One single-threaded interpreter per core: together the most that the cores can do."""

    def __init__(self, model: ModelFolder):
        self._interpreters = [LiteRt(model.litert, 1) for _ in range(parallel.cores())]

    def run(self, recordings: Sequence[np.ndarray]) -> None:
        """Invoke the model on the windows of every recording, in batches of the detector's size."""
        remaining, lock = iter(recordings), threading.Lock()

        def work(interpreter: LiteRt) -> None:
            while True:
                with lock:
                    found = next(remaining, None)
                if found is None:
                    return
                for part in parts(found):
                    interpreter(part)

        threads = [threading.Thread(target=work, args=(one,)) for one in self._interpreters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def parts(found: np.ndarray) -> Iterator[np.ndarray]:
    """Split the windows of a recording into the detector's batches."""
    for first in range(0, len(found), BATCH_WINDOWS):
        yield found[first : first + BATCH_WINDOWS]
