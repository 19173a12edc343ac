"""Channel that every clip of the demo corpus passes, of either class.

Pads, level, noise, band and codec are drawn alike for all clips, so none of them can tell the classes apart.
"""

import io
from dataclasses import dataclass

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ

FRAME_SAMPLES = 160
TRIM_DB = 28.0
"""Leading and trailing frames this far below the loudest one are trimmed."""
SPEECH_HZ = (300.0, 3400.0)
"""Band that every loudspeaker and codec passes; rumble outside it would make a clip longer than its replay."""
NARROW_HZ = 4200.0
SHORTEST_S = 1.0
"""Shorter clips get a longer trailing pad."""
CODECS = ("none", "none", "mulaw", "mp3", "vorbis")


@dataclass(frozen=True)
class Settings:
    """Settings of the channel for one clip."""

    lead_s: float
    trail_s: float
    level_dbfs: float
    snr_db: float
    noise_tilt: float
    high_pass_hz: float
    low_pass_hz: float
    codec: str


def draw(rng: np.random.Generator, *, narrow: bool) -> Settings:
    """Drawn settings of a clip; ``narrow`` clips and 30 % of the others get the upper edge of a telephone band."""
    telephone = narrow or rng.random() < 0.3
    return Settings(
        lead_s=rng.uniform(0.08, 0.45),
        trail_s=rng.uniform(0.08, 0.45),
        level_dbfs=rng.uniform(-32.0, -20.0),
        snr_db=rng.uniform(18.0, 35.0),
        noise_tilt=rng.uniform(0.0, 0.9),
        high_pass_hz=rng.uniform(110.0, 200.0),
        low_pass_hz=rng.uniform(3200.0, 3700.0) if telephone else rng.uniform(4200.0, 6800.0),
        codec=str(rng.choice(CODECS)),
    )


def apply(speech: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Finished clip of trimmed speech ``[samples]``: int16 ``[lead + samples + trail]`` at 16 kHz."""
    from scipy import signal

    speech = trim(speech).astype(np.float64)
    lead, trail = (round(s * SAMPLE_RATE_HZ) for s in (settings.lead_s, settings.trail_s))
    trail = max(trail, round(SHORTEST_S * SAMPLE_RATE_HZ) - lead - len(speech))
    band = (settings.high_pass_hz, settings.low_pass_hz)
    filters = signal.butter(6, band, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    padded = np.pad(speech, (lead, trail))
    padded = signal.sosfilt(filters, padded)
    padded *= 10 ** (settings.level_dbfs / 20) / max(active_rms(padded), 1e-9)
    noise = signal.lfilter([1.0], [1.0, -settings.noise_tilt], rng.normal(size=len(padded)))
    noise = signal.sosfilt(filters, noise)
    noise *= 10 ** ((settings.level_dbfs - settings.snr_db) / 20) / np.sqrt(np.mean(noise**2))
    mixed = np.clip(padded + noise, -0.99, 0.99)
    return np.clip(np.rint(code(mixed, settings.codec) * 32768), -32768, 32767).astype(np.int16)


def code(wave: np.ndarray, codec: str) -> np.ndarray:
    """The wave after a codec and back, of the same length: none, mulaw (G.711's law), mp3 or vorbis."""
    if codec == "none":
        return wave
    if codec == "mulaw":
        compressed = np.sign(wave) * np.log1p(255 * np.abs(wave)) / np.log(256)
        rounded = np.rint(compressed * 127) / 127
        return np.sign(rounded) * np.expm1(np.abs(rounded) * np.log(256)) / 255
    import soundfile

    kind = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS")}[codec]
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE_HZ, format=kind[0], subtype=kind[1])
    file.seek(0)
    decoded, _ = soundfile.read(file)
    return np.pad(decoded[: len(wave)], (0, max(len(wave) - len(decoded), 0)))


def trim(wave: np.ndarray) -> np.ndarray:
    """The wave from its first to its last frame within ``TRIM_DB`` of the loudest, measured in ``SPEECH_HZ``."""
    from scipy import signal

    if len(wave) < FRAME_SAMPLES or not np.any(wave):
        return wave
    power = frame_power(signal.sosfilt(signal.butter(2, SPEECH_HZ, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), wave))
    loud = np.flatnonzero(power >= power.max() * 10 ** (-TRIM_DB / 10))
    return wave[loud[0] * FRAME_SAMPLES : (loud[-1] + 1) * FRAME_SAMPLES]


def frame_power(wave: np.ndarray) -> np.ndarray:
    """Mean square of 10 ms frames, ``[samples // 160]`` float64."""
    frames = len(wave) // FRAME_SAMPLES
    return np.mean(wave[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES).astype(np.float64) ** 2, axis=1)


def active_rms(wave: np.ndarray) -> float:
    """Root mean square over the frames within 30 dB of the loudest."""
    power = frame_power(wave)
    return float(np.sqrt(power[power >= power.max() * 1e-3].mean())) if power.size and power.max() > 0 else 0.0


def is_narrow(wave: np.ndarray) -> bool:
    """Whether almost no power is above the telephone band."""
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    edge = int(NARROW_HZ / (SAMPLE_RATE_HZ / 2) * (len(spectrum) - 1))
    return bool(spectrum[edge:].sum() < 1e-5 * spectrum.sum())
