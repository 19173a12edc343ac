"""Export formats of a trained Keras model: LiteRT in three precisions, and ONNX. Needs TensorFlow.

Each file takes windows ``[windows, clip_samples]`` in any number. It returns logits ``[windows, 1]`` and, for networks
that have them, embeddings; ``networks.with_embedding`` names the outputs.
"""

import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from pipeline.network import networks
from pipeline.network.fixed_layer import FixedLayer
from pipeline.network.spectra import PowerSpectrogram

OPSET = 17


def litert(model: keras.Model, path: Path) -> None:
    """Write LiteRT in float32."""
    _litert(model, path)


def litert_float16(model: keras.Model, path: Path) -> None:
    """Write LiteRT with float16 weights, computed in float32."""
    _litert(model, path, optimizations=[tf.lite.Optimize.DEFAULT], types=[tf.float16])


def litert_int8(model: keras.Model, path: Path) -> None:
    """Write LiteRT with int8 weights in convolutions and dense layers; activations are quantised at run time.

    Front ends and other layers of fixed arithmetic stay in float32: in 8 bits a spectrogram loses all that is quiet.
    """
    from ai_edge_quantizer import qtyping, quantizer

    fixed = sorted({layer.name for layer in model._flatten_layers() if isinstance(layer, FixedLayer)})
    others = rf"^(?!.*/({'|'.join(map(re.escape, fixed))})(_\d+)?/)"  # operations are named after their layers
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float32.tflite"
        litert(model, whole)
        quantised = quantizer.Quantizer(str(whole))
        for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
            quantised.add_dynamic_config(others, operation, num_bits=8)
        quantised.quantize().export_model(path, overwrite=True)


def onnx(model: keras.Model, path: Path) -> None:
    """Write ONNX in float32, through a SavedModel: only that bakes in constants, which onnxruntime needs.

    Raises ``RuntimeError`` with the message of the converter if it fails.
    """
    with tempfile.TemporaryDirectory() as saved:
        # The converter does not know the Fourier transform of ONNX.
        networks.with_embedding(with_matrix_transform(model)).export(saved, format="tf_saved_model", verbose=False)
        # A separate process: the converter offers this only as a command line.
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", saved, "--opset", str(OPSET)]
        done = subprocess.run([*command, "--output", str(path)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


WRITERS: dict[str, tuple[str, Callable[[keras.Model, Path], None]]] = {
    "litert-float32": (".tflite", litert),
    "litert-float16": (".tflite", litert_float16),
    "litert-int8": (".tflite", litert_int8),
    "onnx": (".onnx", onnx),
}
"""Suffix and writer of the file of each format."""


def as_function(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Wrap the model in a TensorFlow function of any number of windows, traced once."""
    signature = [tf.TensorSpec((None, model.input_shape[1]), tf.float32, name="waveform")]
    return tf.function(lambda waveform: model(waveform, training=False), input_signature=signature)


class MatrixSpectrogram(PowerSpectrogram):
    """Power spectrum by multiplication with cosines and sines: slower, but every runtime can compute it."""

    def call(self, waveform):
        sample, half = np.arange(self.n_fft), self.n_fft // 2
        window = 0.5 - 0.5 * np.cos(2 * np.pi * sample / self.n_fft)
        angle = 2 * np.pi / self.n_fft * (np.outer(sample, np.arange(half + 1)) % self.n_fft)
        bases = [(window[:, None] * part(angle)).astype("float32") for part in (np.cos, np.sin)]  # (n_fft, bins) each
        padded = ops.pad(waveform, [[0, 0], [half, half]])  # (batch, samples + n_fft)
        frames = ops.extract_sequences(padded, self.n_fft, self.hop_samples)  # (batch, frames, n_fft)
        return sum(ops.square(ops.matmul(frames, basis)) for basis in bases)  # (batch, frames, bins)


def with_matrix_transform(model: keras.Model) -> keras.Model:
    """Copy the model with its weights; the power spectrum of the copy needs no Fourier transform."""

    def replaced(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Model):
            return with_matrix_transform(layer)
        kind = MatrixSpectrogram if isinstance(layer, PowerSpectrogram) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=replaced)
    copy.name = model.name
    copy.set_weights(model.get_weights())
    return copy


def _litert(model: keras.Model, path: Path, *, optimizations: Sequence = (), types: Sequence = ()) -> None:
    """Write LiteRT from a frozen graph; Keras exports through a SavedModel, which takes up to five times as long."""
    for name in ("tensorflow", "absl"):  # the latter calls a function that belongs to no object deprecated
        logging.getLogger(name).setLevel(logging.ERROR)
    both, shape = networks.with_embedding(model), [None, *model.input_shape[1:]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="waveform")], autograph=False)
    def outputs(waveform: tf.Tensor) -> tf.Tensor | dict[str, tf.Tensor]:
        return both(waveform, training=False)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([outputs.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.target_spec.supported_types = list(types)
    converter.optimizations = list(optimizations)
    path.write_bytes(converter.convert())
