"""Sound that the speech detector takes for speech: syllables of random pitch and vowels."""

import numpy as np

SYLLABLE_SAMPLES = 2500


def talk(seconds: float = 1.875, seed: int = 1) -> np.ndarray:
    """Whole syllables within the given time ``[samples]`` float32 at 16 kHz, peak 0.5."""
    rng, t = np.random.default_rng(seed), np.arange(SYLLABLE_SAMPLES) / 16000
    syllables = []
    for _ in range(int(seconds * 16000) // SYLLABLE_SAMPLES):
        pitch_hz = rng.uniform(100, 180) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 3) * t))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / 16000
        formants_hz = rng.uniform((300, 900, 2300), (800, 2200, 3000))
        gains = [np.sum(1 / (1 + ((140 * harmonic - formants_hz) / 120) ** 2)) for harmonic in range(1, 28)]
        vowel = sum(gain * np.sin(harmonic * phase) for harmonic, gain in enumerate(gains, 1))
        syllables.append(vowel * np.sqrt(np.sin(np.pi * np.arange(SYLLABLE_SAMPLES) / SYLLABLE_SAMPLES)))
    wave = np.concatenate(syllables)
    wave += 0.003 * rng.standard_normal(len(wave))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)
