"""Copies of human speech through a vocoder: linear prediction with a pulse-or-noise source, and Griffin-Lim."""

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ

FRAME_SAMPLES, HOP_SAMPLES = 480, 160
ORDER = 18
VOICED_CORRELATION = 0.35
PITCH_HZ = (70, 380)
GRIFFIN_LIM_ITERATIONS = 24
GRIFFIN_LIM_MELS = 80


def linear_prediction(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The speech with its excitation replaced (Atal & Hanauer 1971), same shape ``[samples]``.

    Each 30 ms frame keeps its all-pole filter and energy; its excitation becomes pulses at its pitch period, or noise
    if it is unvoiced.
    """
    import librosa
    from scipy import signal

    padded = np.pad(wave.astype(np.float64), FRAME_SAMPLES // 2) + 1e-6 * rng.normal(size=len(wave) + FRAME_SAMPLES)
    window = np.hanning(FRAME_SAMPLES)
    result = np.zeros(len(padded))
    weight = np.full(len(padded), 1e-9)
    next_pulse = 0.0
    for start in range(0, len(padded) - FRAME_SAMPLES + 1, HOP_SAMPLES):
        frame = padded[start : start + FRAME_SAMPLES] * window
        energy = np.sqrt(np.mean(frame**2))
        if energy < 1e-5:
            continue
        poles = librosa.lpc(frame, order=ORDER)
        period = _period(frame)
        source = np.zeros(FRAME_SAMPLES)
        if period:
            position = max(next_pulse - start, 0.0)
            while position < FRAME_SAMPLES:
                source[int(position)] = 1.0
                if position < HOP_SAMPLES:
                    next_pulse = start + position + period
                position += period
        else:
            source = rng.normal(size=FRAME_SAMPLES)
        filtered = signal.lfilter([1.0], poles, source) * window
        level = np.sqrt(np.mean(filtered**2))
        if np.isfinite(level) and level > 0:
            result[start : start + FRAME_SAMPLES] += filtered * energy / level
            weight[start : start + FRAME_SAMPLES] += window
    half = FRAME_SAMPLES // 2
    return (result / np.maximum(weight, 0.3))[half : half + len(wave)].astype(np.float32)


def griffin_lim(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The speech rebuilt from its 80-band mel spectrogram with phases by Griffin & Lim (1984), same shape."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE_HZ, n_fft=1024, hop_length=256, n_mels=GRIFFIN_LIM_MELS, power=1.0
    )
    basis = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=1024, n_mels=GRIFFIN_LIM_MELS)
    magnitude = np.maximum(np.linalg.pinv(basis) @ mel, 0)
    seed = int(rng.integers(2**31))
    rebuilt = librosa.griffinlim(
        magnitude, n_iter=GRIFFIN_LIM_ITERATIONS, hop_length=256, n_fft=1024, random_state=seed, length=len(wave)
    )
    return rebuilt.astype(np.float32)


def _period(frame: np.ndarray) -> float:
    """Pitch period in samples by autocorrelation; 0 if the frame is unvoiced."""
    spectrum = np.fft.rfft(frame, 2 * len(frame))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(frame)]
    low, high = SAMPLE_RATE_HZ // PITCH_HZ[1], SAMPLE_RATE_HZ // PITCH_HZ[0]
    lag = low + int(np.argmax(correlation[low:high]))
    return float(lag) if correlation[lag] > VOICED_CORRELATION * correlation[0] else 0.0
