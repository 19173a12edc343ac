"""Speech with a noise behind it, and in a room."""

import numpy as np

from pipeline.audio.samples import on_grid


def mixed(wave: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Recording with noise at a ratio of their mean powers, both ``[samples]``; scaled down if it would clip."""
    power, of_noise = np.mean(wave.astype(np.float64) ** 2), np.mean(noise**2)
    return _fitting(wave + noise * np.sqrt(power / max(of_noise, 1e-20) * 10 ** (-snr_db / 10)))


def in_room(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Recording ``[samples]`` convolved with an impulse response, at its own power; scaled down if it would clip.

    The strongest sample of the response is the direct sound, which is not delayed. The tail after the end is cut off.
    """
    from scipy.signal import fftconvolve

    direct = int(np.argmax(np.abs(response)))
    room = fftconvolve(wave, response)[direct : direct + len(wave)]
    powers = np.mean(wave.astype(np.float64) ** 2), np.mean(room.astype(np.float64) ** 2)
    return _fitting(room * np.sqrt(powers[0] / max(powers[1], 1e-20)))


def _fitting(wave: np.ndarray) -> np.ndarray:
    return on_grid(wave / max(1.0, np.abs(wave).max()))
