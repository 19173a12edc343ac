"""LiteRT and nothing else: the limit of whatever scores with a model on these cores."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline import audio
from pipeline.audio import windows
from pipeline.common import parallel
from pipeline.scoring.detector import BATCH_WINDOWS
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.runtimes import LiteRt


def cut(model: ModelFolder, recording: audio.Source) -> np.ndarray:
    """The windows ``[windows, clip_samples]`` of a recording that the detector scores."""
    wave = audio.decode(recording, config=model.config.audio)
    window = model.config.window
    starts = windows.starts(len(wave), window.clip_samples, window.windows)
    return np.stack([windows.cut(wave, start, window) for start in starts])


class Loops:
    """One interpreter with one thread for each core, which together give the most that the cores can."""

    def __init__(self, model: ModelFolder):
        self._interpreters = [LiteRt(model.litert, 1) for _ in range(parallel.cores())]

    def run(self, recordings: Sequence[np.ndarray]) -> None:
        """Invoke the model on the windows of every recording, as many at once as the detector takes."""
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
    """The windows of a recording as the detector hands them to the model."""
    for first in range(0, len(found), BATCH_WINDOWS):
        yield found[first : first + BATCH_WINDOWS]
