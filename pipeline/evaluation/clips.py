"""Single clips of the report: the surest right answers and the worst mistakes of an evaluation.

Each shows the spectrogram that enters the network, the saliency of its parts (if the model folder holds the Keras
model), the score over time, and the audio.
"""

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import audio
from pipeline.audio.speech import Speech
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF, FrontEndConfig
from pipeline.metrics.assessment import Evaluation
from pipeline.reporting import clip_figure, style
from pipeline.reporting.clip_figure import View
from pipeline.reporting.evaluation_summary import Clip
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.store.store import Store

SHOWN = 4
"""Right answers shown, and mistakes shown."""
LONGEST_S = 6.0
"""Seconds of a clip that the report plays; short, to keep the page small."""
POINTS = 40
"""Most windows of the score over time."""
DPI = 110


@dataclass(frozen=True)
class DrawnClip:
    """Clip with its picture as PNG and up to ``LONGEST_S`` of its sound as FLAC."""

    clip: Clip
    picture: bytes
    sound: bytes


def choose(trials: pd.DataFrame, threshold: float) -> tuple[list[int], list[int]]:
    """Positions of the surest right answers, half of each class if there are enough, and the worst mistakes."""
    margin = np.where(trials["label"] == BONAFIDE, 1, -1) * (trials["score"].to_numpy() - threshold)
    order = np.argsort(-margin, kind="stable")
    right = [i for i in order if margin[i] > 0 or (margin[i] == 0 and trials["label"].iat[i] == BONAFIDE)]
    known = set(right)
    wrong = [int(i) for i in order[::-1] if i not in known][:SHOWN]
    halves = [[i for i in right if trials["label"].iat[i] == label] for label in (BONAFIDE, SPOOF)]
    first = [i for half in halves for i in half[: SHOWN // 2]]
    rest = [i for i in right if i not in first]
    return [int(i) for i in (first + rest)[:SHOWN]], wrong


def draw(model: ModelFolder, store: Store, evaluation: Evaluation, *, saliency: bool = True) -> list[DrawnClip]:
    """Choose and draw clips of an evaluated subset, the right answers first.

    ``saliency``: draw the saliency too, which needs TensorFlow.
    """
    detector, threshold = Detector(model), model.point().threshold
    explainer = None
    if saliency and model.keras:
        from pipeline.network.saliency import Explainer

        explainer = Explainer(model.keras, model.config)
        explainer = explainer if explainer.has_spectrogram else None
    rows, found = store.subset(evaluation.subset), []
    for right, positions in zip((True, False), choose(evaluation.trials, threshold), strict=True):
        for position in positions:
            trial, row = evaluation.trials.iloc[position], int(rows[position])
            wave = store.waveform(row)
            seen = view(model, detector, explainer, wave, up=trial["score"] >= threshold)
            picture = clip_figure.draw(seen, _title(trial, threshold), threshold=threshold, config=model.config)
            known = {name: str(trial[name]) for name in ("utterance_id", "label", "attack", "speaker")}
            found.append(
                DrawnClip(
                    Clip(right, **known, score=float(trial["score"]), path=str(store.manifest["path"].iat[row])),
                    picture=style.png(picture, dpi=DPI),
                    sound=flac(wave[: round(LONGEST_S * SAMPLE_RATE_HZ)]),
                )
            )
    return found


def view(
    model: ModelFolder,
    detector: Detector,
    explainer: "saliency.Explainer | None",  # noqa: F821
    wave: np.ndarray,
    *,
    up: bool,
) -> View:
    """Data of the picture of a recording ``[samples]`` in −1…1.

    ``up``: show the window with the highest score, else the one with the lowest.
    """
    scored = detector.score_windows(wave, drawn=lambda found: _evenly(found, model.clip_samples))
    logits = np.where(scored.counted, scored.logits if up else -scored.logits, -np.inf)
    start = int(scored.starts[np.argmax(logits)])
    window = detector.cut(wave[: scored.speech.end], [start])[0]
    spectrogram = explainer.spectrogram(window) if explainer else _log_mel(window, model.config.front_end)
    return View(
        start_s=start / SAMPLE_RATE_HZ,
        window_s=scored.window_s,
        duration_s=scored.duration_s,
        spectrogram=spectrogram,
        saliency=explainer.saliency(spectrogram) if explainer else None,
        times_s=scored.times_s,
        scores=scored.scores,
    )


def _evenly(found: Speech, clip_samples: int) -> list[int]:
    """First samples of windows at even steps through the part that speech spans."""
    last = max(found.start, found.end - clip_samples)
    return np.unique(np.linspace(found.start, last, POINTS).astype(int)).tolist()


def flac(wave: np.ndarray) -> bytes:
    """A recording as FLAC, 16 bits at 16 kHz."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio.to_int16(wave), SAMPLE_RATE_HZ, format="FLAC")
    return buffer.getvalue()


def _title(trial: pd.Series, threshold: float) -> str:
    called = BONAFIDE if trial["score"] >= threshold else SPOOF
    answer = f"{trial['label']} recognised" if called == trial["label"] else f"{trial['label']} taken for {called}"
    code, name = trial["attack"], trial.get("attack_name", "")
    attack = f" ({name or code})" if trial["label"] == SPOOF and code else ""
    score = f"{trial['score']:+.2f}".replace("-", "−")
    return f"{answer}{attack}: {trial['utterance_id']}, score {score}"


def _log_mel(window: np.ndarray, settings: FrontEndConfig) -> np.ndarray:
    """The log-mel spectrogram ``[frames, bands]`` of a window, for models without a spectrogram."""
    from pipeline.reporting.store_figures import log_mel_db

    return log_mel_db(window, settings).T
