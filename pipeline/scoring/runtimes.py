"""Runtimes of exported networks: windows in, logits out; one class per runtime, none of them TensorFlow."""

from pathlib import Path

import numpy as np

from pipeline.errors import ModelFolderError


class LiteRt:
    """A ``.tflite`` file in LiteRT's interpreter; not thread-safe."""

    def __init__(self, path: Path, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        except ValueError as error:
            raise ModelFolderError(f"{path}: not a LiteRT model ({error})") from None
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._windows = 0

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` float64 of windows ``[windows, clip_samples]`` float32 in −1…1."""
        if len(windows) != self._windows:
            self._interpreter.resize_tensor_input(self._input, windows.shape)
            self._interpreter.allocate_tensors()
            self._windows = len(windows)
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(windows, np.float32))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)[:, 0].astype(np.float64)


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
        (logits,) = self._session.run(None, {self._input: np.asarray(windows, np.float32)})
        return logits[:, 0].astype(np.float64)


def of(path: Path, threads: int) -> LiteRt | Onnx:
    """Runtime of a file, by its suffix."""
    return {".tflite": LiteRt, ".onnx": Onnx}[path.suffix](path, threads)
