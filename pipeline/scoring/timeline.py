"""Scores of one channel of a recording of any length, block by block in bounded memory.

Used by ``parties``. Three passes read the audio: its extent (``Extent``), its speech (``SpeechFinder``), and the logits
of the windows that follow from both (``WindowScorer``), which are those of the same recording as a short file.
"""

import numpy as np

from pipeline.audio import speech
from pipeline.audio.speech import Speech
from pipeline.scoring import runtimes
from pipeline.scoring.detector import BATCH_WINDOWS, Detector, Plan
from pipeline.scoring.runtimes import Outputs

OUTLINE_SAMPLES = 800
"""Samples per point of the outline: 50 ms."""


class Pieces:
    """Pieces of ``size`` samples from a stream of blocks."""

    def __init__(self, size: int):
        self._size = size
        self.rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> np.ndarray:
        """Whole pieces ``[pieces, size]`` that the next samples complete."""
        waiting = np.concatenate([self.rest, block])
        whole = len(waiting) - len(waiting) % self._size
        self.rest = waiting[whole:]
        return waiting[:whole].reshape(-1, self._size)


class Extent:
    """First pass: length, peak, ends of what sounds, and outline of the waveform."""

    def __init__(self):
        self.samples, self.peak = 0, 0.0
        self._rising: list[tuple[int, float]] = []  # samples louder than all before, with their level
        self._falling: list[tuple[int, float]] = []  # samples louder than all behind, with their level
        self._pieces = Pieces(OUTLINE_SAMPLES)
        self._outline: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Add the next samples ``[samples]``, float32 in −1…1 at 16 kHz."""
        level = np.abs(block)
        self._rising += self._records(level, above=self.peak if self.samples else -1.0)
        loudest = float(level.max(initial=0.0))
        while self._falling and self._falling[-1][1] <= loudest:
            self._falling.pop()
        backwards = self._records(level[::-1])
        self._falling += [(self.samples + len(block) - 1 - (i - self.samples), v) for i, v in reversed(backwards)]
        self.samples += len(block)
        self.peak = max(self.peak, loudest)
        self._draw(self._pieces.add(block))

    @property
    def sounding(self) -> tuple[int, int]:
        """First sample that sounds, and the one behind the last; see ``speech.of``."""
        limit = np.float32(speech.SOUNDING * self.peak)
        first = next(index for index, level in self._rising if level >= limit)
        return first, next(index for index, level in reversed(self._falling) if level >= limit) + 1

    @property
    def outline(self) -> np.ndarray:
        """Lowest and highest sample of every 50 ms, ``[points, 2]``, after all samples were added."""
        rest = self._pieces.rest
        return np.concatenate([*self._outline, *([[[rest.min(), rest.max()]]] if len(rest) else [])])

    def _records(self, level: np.ndarray, above: float = -1.0) -> list[tuple[int, float]]:
        """Place in the recording and level of each sample of a block that is louder than all before."""
        before = np.maximum.accumulate(np.concatenate([[above], level]))[:-1]
        places = np.flatnonzero(level > before)
        return list(zip((self.samples + places).tolist(), level[places].tolist(), strict=True))

    def _draw(self, pieces: np.ndarray) -> None:
        self._outline.append(np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1))


class SpeechFinder:
    """Second pass: speech.

    Parameters
    ----------
    extent : first pass over the same channel.
    """

    def __init__(self, extent: Extent):
        self._extent = extent
        self._detector = speech.SpeechDetector(extent.peak)
        self._pieces = Pieces(speech.CHUNK_SAMPLES)
        self._found: list[np.ndarray] = []
        lead = -speech.origin(extent.sounding[0])
        self._silent = lead + extent.sounding[0]  # samples until the first that sounds
        self.add(np.zeros(lead, np.float32))

    def add(self, block: np.ndarray) -> None:
        """Add the next samples ``[samples]``."""
        whole = self._pieces.add(block).ravel()
        before, behind = whole[: self._silent], whole[self._silent :]
        if len(before):
            self._found.append(self._detector.probabilities(before))
            self._silent -= len(before)
            if not self._silent:
                self._detector.reset()
        self._found.append(self._detector.probabilities(behind))

    def finish(self) -> Speech:
        """Speech of the channel, after all samples were added."""
        rest = self._pieces.rest
        if len(rest):
            self._found.append(self._detector.probabilities(np.pad(rest, (0, speech.CHUNK_SAMPLES - len(rest)))))
        return speech.of(np.concatenate(self._found), self._extent.sounding, self._extent.samples)


class WindowScorer:
    """Third pass: logit of each planned window.

    Parameters
    ----------
    detector : the model.
    found, plan : speech and windows of the channel.
    """

    def __init__(self, detector: Detector, found: Speech, plan: Plan):
        self._detector, self._end = detector, found.end
        self._starts = plan.starts.tolist()
        self._held, self._held_from = np.zeros(0, np.float32), 0
        self._outputs: list[Outputs] = []
        self._scored = 0

    def add(self, block: np.ndarray) -> None:
        """Add the next samples ``[samples]``."""
        self._held = np.concatenate([self._held, block[: max(0, self._end - self._held_from - len(self._held))]])
        held_to = self._held_from + len(self._held)
        size = self._detector.model.clip_samples
        while (batch := self._starts[self._scored : self._scored + BATCH_WINDOWS]) and (
            held_to == self._end or batch[-1] + size <= held_to
        ):
            cut = self._detector.cut(self._held, [start - self._held_from for start in batch])
            self._outputs.append(self._detector.outputs(cut))
            self._scored += len(batch)
        keep_from = min(batch[0], held_to) if batch else held_to
        self._held, self._held_from = self._held[keep_from - self._held_from :], keep_from

    def finish(self) -> Outputs:
        """Logits and embeddings of the windows, after all samples were added."""
        return runtimes.joined(self._outputs)
