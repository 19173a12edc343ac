"""The synthetic corpus: a tiny, instant substitute for speech, for tests and for machines without apt.

Bonafide is a source with jitter, shimmer and breath through moving formants. Spoof is the same with a flat source,
through a coarse vocoder, or through a loudspeaker and a room. Layout and reader are those of ASVspoof 2017. Scores on
it mean nothing for real speech.
"""

from pathlib import Path

import numpy as np

from pipeline.common import files
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora import asvspoof2017, made

read = asvspoof2017.read

RECIPE_VERSION = 1
SPEAKERS = {"train": 6, "dev": 3, "eval": 4}
CLIPS_PER_SPEAKER = 5
"""Phrases of a speaker; each has one bonafide clip and one of each attack."""
ATTACKS = {"flat": "E00 P01 R00", "vocoder": "E00 P02 R00", "replay": "E01 P03 R01"}
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants of five vowels (Peterson & Barney 1952, men)."""
ABOUT = """# Synthetic corpus

Generated waveforms, no recordings: formant-filtered pulses as bonafide, simplified copies of them as spoof.
Scores on it say nothing about real speech; it is for trying the commands and for tests.
"""


def ensure() -> Path:
    """Folder of the corpus, which is made if missing."""
    return made.ensure("synthetic", RECIPE_VERSION, build)


def build(folder: Path, *, seed: int = 2017) -> None:
    """Write the corpus to ``folder``; the same seed gives the same bytes."""
    import soundfile

    with files.whole_folder(folder) as unfinished:
        (unfinished / "protocol_V2").mkdir(parents=True)
        rng = np.random.default_rng(seed)
        number = 0
        for part, speakers in SPEAKERS.items():
            audio = unfinished / f"ASVspoof2017_V2_{part}"
            audio.mkdir()
            lines = []
            for speaker in range(speakers):
                pitch_hz, tract = rng.uniform(90, 240), rng.uniform(0.88, 1.18)
                for phrase in range(CLIPS_PER_SPEAKER):
                    for kind in ("bonafide", *ATTACKS):
                        number += 1
                        name = f"{part[0].upper()}_{number:07d}.wav"
                        wave = utterance(kind, pitch_hz, tract, rng)
                        soundfile.write(audio / name, wave, SAMPLE_RATE_HZ, subtype="PCM_16")
                        key, triple = ("genuine", "- - -") if kind == "bonafide" else ("spoof", ATTACKS[kind])
                        lines.append(f"{name} {key} {part[0].upper()}{speaker:03d} S{phrase:02d} {triple}\n")
            suffix = asvspoof2017.LIST_SUFFIX[part]
            (unfinished / "protocol_V2" / f"ASVspoof2017_V2_{part}.{suffix}.txt").write_text(
                "".join(lines), encoding="utf-8"
            )
        (unfinished / "DATA.md").write_text(ABOUT, encoding="utf-8")


def utterance(kind: str, pitch_hz: float, tract: float, rng: np.random.Generator) -> np.ndarray:
    """One clip of 0.6–1.5 s, ``[samples]`` float64, peak 0.5.

    Parameters
    ----------
    kind : ``bonafide``, ``flat``, ``vocoder`` or ``replay``.
    pitch_hz : mean fundamental frequency of the speaker.
    tract : factor on the formants, the speaker's vocal tract.
    """
    from scipy import signal

    samples = int(rng.uniform(0.6, 1.5) * SAMPLE_RATE_HZ)
    frames = np.linspace(0, 1, samples)
    alive = 0.0 if kind == "flat" else 1.0
    drift = np.interp(frames, np.linspace(0, 1, 12), rng.normal(0, 0.06 * alive, 12))
    jitter = np.cumsum(rng.normal(0, 1, samples)) / np.sqrt(samples) * 0.02 * alive
    phase = np.cumsum(pitch_hz * (1 + drift + jitter) / SAMPLE_RATE_HZ)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    source = pulses * (1 + alive * rng.normal(0, 0.15, samples)) + alive * 0.01 * rng.normal(size=samples)
    path = np.array([VOWELS_HZ[i] for i in rng.integers(len(VOWELS_HZ), size=4)]) * tract
    wave = np.zeros(samples)
    for formants in range(path.shape[1]):
        hz = np.interp(frames, np.linspace(0, 1, len(path)), path[:, formants])
        if kind == "vocoder":  # formants hold for 80 ms, as in coarse vocoder frames
            hz = np.repeat(hz[::1280], 1280)[:samples]
        wave += _resonate(source, hz) / (formants + 1)
    if kind == "replay":
        wave = signal.lfilter(*signal.butter(2, (350, 3800), "bandpass", fs=SAMPLE_RATE_HZ), np.tanh(3 * wave))
        room = rng.normal(size=1600) * np.exp(-np.arange(1600) / 300)
        wave = wave + 0.3 * signal.fftconvolve(wave, room / np.abs(room).sum())[:samples]
    wave = wave / np.abs(wave).max() + 0.003 * rng.normal(size=samples)
    return 0.5 * wave / np.abs(wave).max()


def _resonate(source: np.ndarray, hz: np.ndarray, bandwidth_hz: float = 90.0, block: int = 160) -> np.ndarray:
    """A two-pole resonance whose frequency moves, block by block; ``[samples]``."""
    from scipy import signal

    radius = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE_HZ)
    state = np.zeros(2)
    parts = []
    for first in range(0, len(source), block):
        angle = 2 * np.pi * hz[first] / SAMPLE_RATE_HZ
        poles = [1.0, -2 * radius * np.cos(angle), radius**2]
        part, state = signal.lfilter([1 - radius], poles, source[first : first + block], zi=state)
        parts.append(part)
    return np.concatenate(parts)
