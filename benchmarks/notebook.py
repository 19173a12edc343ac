"""The original notebook's ways, written again as the yardstick: its feature loop, network and ``predict_audio``.

One second of each file through librosa, a log-mel spectrogram of 128 bands, and EfficientNetB0 asked for one file at a
time. Its settings are the preset ``notebook``. Run as a program it scores a file as a fresh process of the notebook
would: TensorFlow, librosa, the model's file, the answer.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

RATE_HZ, SAMPLES = 16000, 16000
N_MELS, N_FFT, HOP_SAMPLES = 128, 2048, 512
FRAMES = 1 + SAMPLES // HOP_SAMPLES


def load(source: object) -> "np.ndarray":  # noqa: F821
    """A file, or an open one, decoded and resampled, ``[samples]``."""
    import librosa

    return librosa.load(source, sr=RATE_HZ)[0]


def features(wave: "np.ndarray") -> "np.ndarray":  # noqa: F821
    """The log-mel spectrogram ``[128, 32]`` of the first second of a waveform, in dB below its maximum."""
    import librosa
    import numpy as np

    wave = librosa.util.fix_length(wave, size=SAMPLES)
    power = librosa.feature.melspectrogram(y=wave, sr=RATE_HZ, n_mels=N_MELS, n_fft=N_FFT, hop_length=HOP_SAMPLES)
    return librosa.power_to_db(power, ref=np.max)


def load_all(paths: Iterable[str]) -> None:
    """The notebook's loop without the mel: one file after another in one process."""
    for path in paths:
        load(path)


def extract_all(paths: Iterable[str]) -> None:
    """The notebook's loop over its files: features of one after another in one process."""
    for path in paths:
        features(load(path))


def network() -> "keras.Model":  # noqa: F821
    """The notebook's network with fresh weights: what it costs does not depend on them."""
    import keras

    return keras.Sequential(
        [
            keras.Input((N_MELS, FRAMES, 1)),
            keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(N_MELS, FRAMES, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def save(path: Path) -> Path:
    """Write the network's file, once."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        network().save(path)
    return path


def predict_audio(model: "keras.Model", source: object) -> float:  # noqa: F821
    """Probability of a genuine recording, as the notebook asks for it: one ``model.predict`` a file."""
    spectrogram = features(load(source))
    return float(model.predict(spectrogram[None, ..., None], verbose=0)[0, 0])


def main() -> None:
    """Score one file from a fresh process: the model's file, then the recording."""
    import keras

    print(predict_audio(keras.models.load_model(sys.argv[1]), sys.argv[2]))


if __name__ == "__main__":
    main()
