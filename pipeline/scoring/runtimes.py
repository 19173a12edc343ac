"""Runtimes of exported networks, none of them TensorFlow: windows in, logits and embeddings out.

Files of networks without an embedding have one output. The others have two, of which the logit is one wide.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ModelFolderError

LOGIT, EMBEDDING = "logit", "embedding"
"""Names of the outputs of networks with an embedding."""
Outputs = tuple[np.ndarray, np.ndarray | None]
"""Logits ``[windows]`` float64, and embeddings ``[windows, units]`` float32 of a network that has one."""


class LiteRt:
    """A ``.tflite`` file in LiteRT's interpreter; not thread-safe."""

    def __init__(self, path: Path, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        except ValueError as error:
            raise ModelFolderError(f"{path}: not a LiteRT model ({error})") from None
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self._windows = 0

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        return self.outputs(windows)[0]

    def outputs(self, windows: np.ndarray) -> Outputs:
        """Logits and embeddings of windows."""
        if len(windows) != self._windows:
            self._interpreter.resize_tensor_input(self._input, windows.shape)
            self._interpreter.allocate_tensors()
            self._windows = len(windows)
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(windows, np.float32))
        self._interpreter.invoke()
        return _outputs([self._interpreter.get_tensor(index) for index in self._outputs])


class Onnx:
    """An ``.onnx`` file in onnxruntime, on the CPU."""

    def __init__(self, path: Path, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        return self.outputs(windows)[0]

    def outputs(self, windows: np.ndarray) -> Outputs:
        """Logits and embeddings of windows."""
        return _outputs(self._session.run(None, {self._input: np.asarray(windows, np.float32)}))


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of several calls in one."""
    logits, embeddings = zip(*parts, strict=True)
    return np.concatenate(logits), None if embeddings[0] is None else np.concatenate(embeddings)


def _outputs(tensors: Sequence[np.ndarray]) -> Outputs:
    """Outputs of a call in any order: LiteRT keeps neither their names nor their order."""
    logits, *embeddings = sorted(tensors, key=lambda tensor: tensor.shape[1])
    return logits[:, 0].astype(np.float64), embeddings[0] if embeddings else None


def of(path: Path, threads: int) -> LiteRt | Onnx:
    """Runtime of a file, by its suffix."""
    return {".tflite": LiteRt, ".onnx": Onnx}[path.suffix](path, threads)
