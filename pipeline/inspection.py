"""Single clips seen from close by: the surest right answers and the worst mistakes of an evaluation.

For each: the spectrogram that the model sees, which parts of it spoke for what (``saliency``, where the model folder
has the Keras model), the score over time, and the audio itself.
"""

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline import audio, figure_style, windows
from pipeline.assessment import Evaluation
from pipeline.bundle import Bundle
from pipeline.config import BONAFIDE, SAMPLE_RATE_HZ, SPOOF, Config, FrontEndConfig
from pipeline.detector import Detector
from pipeline.store import Store

SHOWN = 4
"""Clips of each sort."""
LONGEST_S = 6.0
"""Seconds of a clip that the report plays, which keeps the page small."""
POINTS = 40
"""Windows of the score over time at most."""
DPI = 110
SPEAKS = LinearSegmentedColormap.from_list("speaks", ["#b35806", "#f1a340", "#ffffff", "#5a8fc7", "#08306b"])
"""Orange speaks for spoof, blue, darker at the same strength, for bonafide."""
SMOOTHED_FRAMES, SMOOTHED_BANDS = 2.0, 1.0


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


@dataclass(frozen=True)
class View:
    """What is drawn of a clip.

    ``spectrogram`` ``[frames, bands]`` of the window that begins at ``start_s``, ``saliency`` of the same shape or
    ``None``; ``times_s`` and ``scores`` of windows over the whole clip, by their middles.
    """

    start_s: float
    window_s: float
    duration_s: float
    spectrogram: np.ndarray
    saliency: np.ndarray | None
    times_s: np.ndarray
    scores: np.ndarray


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


def inspect(model: Bundle, store: Store, evaluation: Evaluation, *, look: bool = True) -> list[Inspected]:
    """The chosen clips of an evaluated subset, the right answers first.

    ``look``: draw the saliency too, which needs TensorFlow.
    """
    detector, threshold = Detector(model), model.point().threshold
    looker = None
    if look and model.keras:
        from pipeline import saliency

        looker = saliency.Looker(model.keras, model.config)
        looker = looker if looker.sees_spectrogram else None
    rows, found = store.subset(evaluation.subset), []
    for right, positions in zip((True, False), choose(evaluation.trials, threshold), strict=True):
        for position in positions:
            trial, row = evaluation.trials.iloc[position], int(rows[position])
            wave = store.waveform(row) / np.float32(audio.FULL_SCALE)
            seen = view(model, detector, looker, wave, up=trial["score"] >= threshold)
            picture = draw(seen, _title(trial, threshold), threshold=threshold, config=model.config)
            known = {name: str(trial[name]) for name in ("utterance_id", "label", "attack", "speaker")}
            found.append(
                Inspected(
                    right,
                    **known,
                    score=float(trial["score"]),
                    path=str(store.manifest["path"].iat[row]),
                    picture=figure_style.png(picture, dpi=DPI),
                    sound=flac(wave[: round(LONGEST_S * SAMPLE_RATE_HZ)]),
                )
            )
    return found


def view(
    model: Bundle,
    detector: Detector,
    looker: "saliency.Looker | None",  # noqa: F821
    wave: np.ndarray,
    *,
    up: bool,
) -> View:
    """What is drawn of a recording ``[samples]`` in −1…1.

    ``up``: of the window that scores highest, else of the one that scores lowest.
    """
    size, settings = model.clip_samples, model.config.train

    def cut(starts: list[int]) -> np.ndarray:
        return np.stack([windows.cut(wave, start, size, settings.pad) for start in starts])

    scored = windows.starts(len(wave), size, settings.windows)
    logits = detector.window_logits(cut(scored))
    start = scored[int(np.argmax(logits if up else -logits))]
    window = cut([start])[0]
    spectrogram = looker.spectrogram(window) if looker else _log_mel(window, model.config.front_end)
    places = np.unique(np.linspace(0, max(len(wave) - size, 0), POINTS).astype(int)).tolist()
    return View(
        start_s=start / SAMPLE_RATE_HZ,
        window_s=size / SAMPLE_RATE_HZ,
        duration_s=len(wave) / SAMPLE_RATE_HZ,
        spectrogram=spectrogram,
        saliency=looker.saliency(spectrogram) if looker else None,
        times_s=(np.array(places) + min(size, len(wave)) / 2) / SAMPLE_RATE_HZ,
        scores=model.calibration.apply(detector.window_logits(cut(places))),
    )


@figure_style.styled
def draw(seen: View, title: str, *, threshold: float, config: Config) -> Figure:
    """Spectrogram and saliency of a window of one clip, and below them the score over the whole of it."""
    panels = 3 if seen.saliency is not None else 2
    figure = Figure(figsize=(7.4, 2.3 * panels + 0.4), layout="constrained")
    axes = figure.subplots(panels, 1, height_ratios=[1.25] * (panels - 1) + [0.9])
    spectrogram = axes[0].imshow(seen.spectrogram.T, cmap="magma", **_extent(seen))
    looks = config.front_end.normalisation == "cmvn" and seen.saliency is not None
    figure.colorbar(spectrogram, ax=axes[0], pad=0.01).set_label("deviations" if looks else "dB")
    axes[0].set_title("What the model sees" if seen.saliency is not None else "Log-mel spectrogram", fontsize=11)
    if seen.saliency is not None:
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(seen.saliency, (SMOOTHED_FRAMES, SMOOTHED_BANDS))
        reach = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
        picture = axes[1].imshow(smooth.T, cmap=SPEAKS, vmin=-reach, vmax=reach, **_extent(seen))
        bar = figure.colorbar(picture, ax=axes[1], pad=0.01, ticks=[-reach, 0, reach])
        bar.ax.set_yticklabels(["spoof", "0", "bonafide"])
        axes[1].set_title("What speaks for which", fontsize=11)
    for panel in axes[:-1]:
        _frequencies(panel, seen, config.front_end)
        panel.grid(False)
        panel.tick_params(labelbottom=panel is axes[-2])
    axes[-2].set_xlabel("Time of the window (s)")
    _over_time(axes[-1], seen, threshold)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


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
    from pipeline.corpus_figures import log_mel_db

    return log_mel_db(window, settings).T


def _extent(seen: View) -> dict:
    bands = seen.spectrogram.shape[1]
    times = (seen.start_s, seen.start_s + seen.window_s)
    return {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": (*times, -0.5, bands - 0.5)}


def _frequencies(axes: Axes, seen: View, settings: FrontEndConfig) -> None:
    """Ticks in Hz where bands have a frequency, else the number of the coefficient."""
    bands = seen.spectrogram.shape[1]
    edges_hz = settings.fmin_hz, settings.fmax_hz
    kind = settings.front_end if seen.saliency is not None else "logmel"
    if kind == "lfcc":
        axes.set_ylabel("Coefficient")
        return
    if kind == "logmel":
        import librosa

        centres_hz = librosa.mel_frequencies(n_mels=bands, fmin=edges_hz[0], fmax=edges_hz[1])
    elif kind == "cqt":
        centres_hz = edges_hz[0] * 2 ** (np.arange(bands) / settings.bins_per_octave)
    else:
        centres_hz = np.linspace(*edges_hz, bands)
    wanted = (2000, 4000, 6000, 8000) if kind == "logspec" else (250, 500, 1000, 2000, 4000, 8000)
    shown = [hz for hz in wanted if centres_hz[0] <= hz <= 1.02 * centres_hz[-1]]
    axes.set_yticks(np.interp(shown, centres_hz, np.arange(bands)), [f"{hz:,}" for hz in shown])
    axes.set_ylabel("Frequency (Hz)")


def _over_time(axes: Axes, seen: View, threshold: float) -> None:
    axes.axvspan(seen.start_s, seen.start_s + seen.window_s, color="#ececec", linewidth=0, label="window shown")
    if len(seen.times_s) > 1:
        axes.plot(seen.times_s, seen.scores, color=figure_style.BLUE, label="score of the window around it")
    else:
        axes.hlines(seen.scores, 0, seen.duration_s, color=figure_style.BLUE, label="score of the only window")
    axes.axhline(threshold, color=figure_style.INK, linestyle="--", linewidth=1.4, label="threshold")
    axes.set(
        xlabel="Time of the clip (s)",
        ylabel="Score (nats)",
        xlim=(0, max(seen.duration_s, seen.start_s + seen.window_s)),
    )
    axes.margins(y=0.2)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.34), ncols=3, fontsize=9)
