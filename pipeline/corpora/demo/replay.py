"""Simulated replay: human speech through a loudspeaker, a room, a distance and a recorder.

A configuration is one of each, by the codes of the protocol's environment, playback and recorder columns.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Loudspeaker:
    """Pass band in Hz, and drive of its membrane into saturation."""

    low_hz: float
    high_hz: float
    drive: float


@dataclass(frozen=True)
class Room:
    """Reverberation time in s, direct-to-reverberant ratio and signal-to-noise ratio at the recorder in dB."""

    rt60_s: float
    direct_db: float
    snr_db: float


@dataclass(frozen=True)
class Recorder:
    """Pass band in Hz and a resonance of its casing in Hz."""

    low_hz: float
    high_hz: float
    resonance_hz: float


LOUDSPEAKERS = {
    "P11": Loudspeaker(420, 5200, 3.0),
    "P12": Loudspeaker(250, 6400, 2.0),
    "P13": Loudspeaker(90, 7600, 1.2),
    "P14": Loudspeaker(330, 5900, 2.5),
}
ROOMS = {"E01": Room(0.22, 8, 38), "E02": Room(0.45, 4, 32), "E03": Room(0.8, 2, 30)}
RECORDERS = {"R01": Recorder(120, 6800, 2900), "R02": Recorder(180, 7200, 1600), "R03": Recorder(80, 7500, 4100)}
SEEN = (("E01", "P11", "R01"), ("E02", "P12", "R02"), ("E01", "P13", "R03"), ("E02", "P11", "R02"))
EVAL_ONLY = (("E03", "P14", "R01"), ("E03", "P13", "R03"))


def replay(wave: np.ndarray, configuration: tuple[str, str, str], rng: np.random.Generator) -> np.ndarray:
    """The speech ``[samples]`` as recorded in a configuration, same shape float32."""
    environment, playback, recorder = configuration
    return recorded_from(wave, LOUDSPEAKERS[playback], ROOMS[environment], RECORDERS[recorder], rng)


def recorded_from(
    wave: np.ndarray, speaker: Loudspeaker, room: Room, microphone: Recorder, rng: np.random.Generator
) -> np.ndarray:
    """The speech ``[samples]`` from a loudspeaker in a room through a recorder, same shape float32."""
    from scipy import signal

    played = _band(wave / max(np.abs(wave).max(), 1e-9), speaker.low_hz, speaker.high_hz)
    played = np.tanh(speaker.drive * played) / np.tanh(speaker.drive)
    recorded = signal.fftconvolve(played, response(room, rng))[: len(wave)]
    noise = signal.lfilter([1.0], [1.0, -0.9], rng.normal(size=len(wave)))
    recorded += noise * np.sqrt(np.mean(recorded**2) / np.mean(noise**2)) * 10 ** (-room.snr_db / 20)
    peak = signal.iirpeak(microphone.resonance_hz, 3.0, fs=SAMPLE_RATE_HZ)
    recorded = _band(recorded + 0.6 * signal.lfilter(*peak, recorded), microphone.low_hz, microphone.high_hz)
    return (recorded / max(np.abs(recorded).max(), 1e-9)).astype(np.float32)


def response(room: Room, rng: np.random.Generator) -> np.ndarray:
    """Impulse response of a room: a direct sound, and noise that decays by 60 dB in the reverberation time."""
    samples = int(room.rt60_s * SAMPLE_RATE_HZ)
    decay = 10 ** (-3 * np.arange(samples) / samples)
    tail = rng.normal(size=samples) * decay
    tail[: int(0.003 * SAMPLE_RATE_HZ)] = 0
    tail *= 10 ** (-room.direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def _band(wave: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    from scipy import signal

    return signal.sosfilt(signal.butter(3, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), wave)
