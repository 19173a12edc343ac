"""Single clips seen from close by: the surest right answers and the worst mistakes of an evaluation.

For each: the spectrogram that the model sees, which parts of it spoke for what (``saliency``, where the model folder
has the Keras model), the score over time, and the audio itself.
"""

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import audio
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF, FrontEndConfig
from pipeline.metrics.assessment import Evaluation
from pipeline.reporting import clip_figure, style
from pipeline.reporting.clip_figure import View
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store

SHOWN = 4
"""Clips of each sort."""
LONGEST_S = 6.0
"""Seconds of a clip that the report plays, which keeps the page small."""
POINTS = 40
"""Windows of the score over time at most."""
DPI = 110


@dataclass(frozen=True)
class Inspected:
    """One clip: what is known of it, its picture as PNG and up to ``LONGEST_S`` of its sound as FLAC."""

    right: bool
    utterance_id: str
    label: str
    attack: str
    speaker: str
    score: float
    path: str
    picture: bytes
    sound: bytes


def choose(trials: pd.DataFrame, threshold: float) -> tuple[list[int], list[int]]:
    """Positions of the surest right answers, half of each class where there are so many, and of the worst mistakes."""
    margin = np.where(trials["label"] == BONAFIDE, 1, -1) * (trials["score"].to_numpy() - threshold)
    order = np.argsort(-margin, kind="stable")
    right = [i for i in order if margin[i] > 0 or (margin[i] == 0 and trials["label"].iat[i] == BONAFIDE)]
    wrong = [int(i) for i in order[::-1] if i not in set(right)][:SHOWN]
    halves = [[i for i in right if trials["label"].iat[i] == label] for label in (BONAFIDE, SPOOF)]
    first = [i for half in halves for i in half[: SHOWN // 2]]
    rest = [i for i in right if i not in first]
    return [int(i) for i in (first + rest)[:SHOWN]], wrong


def inspect(model: ModelFolder, store: Store, evaluation: Evaluation, *, look: bool = True) -> list[Inspected]:
    """The chosen clips of an evaluated subset, the right answers first.

    ``look``: draw the saliency too, which needs TensorFlow.
    """
    detector, threshold = Detector(model), model.point().threshold
    looker = None
    if look and model.keras:
        from pipeline.network import saliency

        looker = saliency.Looker(model.keras, model.config)
        looker = looker if looker.sees_spectrogram else None
    rows, found = store.subset(evaluation.subset), []
    for right, positions in zip((True, False), choose(evaluation.trials, threshold), strict=True):
        for position in positions:
            trial, row = evaluation.trials.iloc[position], int(rows[position])
            wave = store.waveform(row)
            seen = view(model, detector, looker, wave, up=trial["score"] >= threshold)
            picture = clip_figure.draw(seen, _title(trial, threshold), threshold=threshold, config=model.config)
            known = {name: str(trial[name]) for name in ("utterance_id", "label", "attack", "speaker")}
            found.append(
                Inspected(
                    right,
                    **known,
                    score=float(trial["score"]),
                    path=str(store.manifest["path"].iat[row]),
                    picture=style.png(picture, dpi=DPI),
                    sound=flac(wave[: round(LONGEST_S * SAMPLE_RATE_HZ)]),
                )
            )
    return found


def view(
    model: ModelFolder,
    detector: Detector,
    looker: "saliency.Looker | None",  # noqa: F821
    wave: np.ndarray,
    *,
    up: bool,
) -> View:
    """What is drawn of a recording ``[samples]`` in −1…1.

    ``up``: of the window that scores highest, else of the one that scores lowest.
    """
    size, scored = model.clip_samples, detector.starts(wave)
    logits = detector.window_logits(detector.cut(wave, scored))
    start = scored[int(np.argmax(logits if up else -logits))]
    window = detector.cut(wave, [start])[0]
    spectrogram = looker.spectrogram(window) if looker else _log_mel(window, model.config.front_end)
    places = np.unique(np.linspace(0, max(len(wave) - size, 0), POINTS).astype(int)).tolist()
    return View(
        start_s=start / SAMPLE_RATE_HZ,
        window_s=size / SAMPLE_RATE_HZ,
        duration_s=len(wave) / SAMPLE_RATE_HZ,
        spectrogram=spectrogram,
        saliency=looker.saliency(spectrogram) if looker else None,
        times_s=(np.array(places) + min(size, len(wave)) / 2) / SAMPLE_RATE_HZ,
        scores=model.calibration.apply(detector.window_logits(detector.cut(wave, places))),
    )


def flac(wave: np.ndarray) -> bytes:
    """A recording as FLAC, 16 bits at 16 kHz."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio.to_int16(wave), SAMPLE_RATE_HZ, format="FLAC")
    return buffer.getvalue()


def _title(trial: pd.Series, threshold: float) -> str:
    called = BONAFIDE if trial["score"] >= threshold else SPOOF
    answer = f"{trial['label']} recognised" if called == trial["label"] else f"{trial['label']} taken for {called}"
    attack = f" ({trial['attack']})" if trial["label"] == SPOOF and trial["attack"] else ""
    score = f"{trial['score']:+.2f}".replace("-", "−")
    return f"{answer}{attack}: {trial['utterance_id']}, score {score}"


def _log_mel(window: np.ndarray, settings: FrontEndConfig) -> np.ndarray:
    """The log-mel spectrogram ``[frames, bands]`` of a window, for models that show none of their own."""
    from pipeline.reporting.store_figures import log_mel_db

    return log_mel_db(window, settings).T
