"""The yardstick of the benchmarks: the original notebook's feature loop, network and ``predict_audio``.

It reads one second of each file by librosa, computes a log-mel spectrogram of 128 bands and calls EfficientNetB0 one
file at a time. The preset ``notebook`` has its settings. Run as a program it scores one file in a fresh process: import
TensorFlow and librosa, read the model's file, predict.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

RATE_HZ, SAMPLES = 16000, 16000
N_MELS, N_FFT, HOP_SAMPLES = 128, 2048, 512
FRAMES = 1 + SAMPLES // HOP_SAMPLES


def load(source: object) -> "np.ndarray":  # noqa: F821
    """Decode and resample a file or file object, ``[samples]``."""
    import librosa

    return librosa.load(source, sr=RATE_HZ)[0]


def features(wave: "np.ndarray") -> "np.ndarray":  # noqa: F821
    """Log-mel spectrogram ``[128, 32]`` of the first second of a waveform, in dB below its maximum."""
    import librosa
    import numpy as np

    wave = librosa.util.fix_length(wave, size=SAMPLES)
    power = librosa.feature.melspectrogram(y=wave, sr=RATE_HZ, n_mels=N_MELS, n_fft=N_FFT, hop_length=HOP_SAMPLES)
    return librosa.power_to_db(power, ref=np.max)


def load_all(paths: Iterable[str]) -> None:
    """Run the notebook's loop without the mel: one file after another in one process."""
    for path in paths:
        load(path)


def extract_all(paths: Iterable[str]) -> None:
    """Run the notebook's loop: features of one file after another in one process."""
    for path in paths:
        features(load(path))


def network() -> "keras.Model":  # noqa: F821
    """The notebook's network with fresh weights, which do not change its speed."""
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
    """Write the network's file unless it exists."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        network().save(path)
    return path


def predict_audio(model: "keras.Model", source: object) -> float:  # noqa: F821
    """Probability that a recording is genuine, by one ``model.predict`` per file as in the notebook."""
    spectrogram = features(load(source))
    return float(model.predict(spectrogram[None, ..., None], verbose=0)[0, 0])


def main() -> None:
    """Score one file: the arguments are the model's file and the recording."""
    import keras

    print(predict_audio(keras.models.load_model(sys.argv[1]), sys.argv[2]))


if __name__ == "__main__":
    main()
