"""ONNX Runtime on the CPU: any batch and any length."""

from pathlib import Path

import numpy as np
import onnxruntime

from edgewright.errors import DamagedFileError

SUFFIX = ".onnx"
SILENT = 4  # ONNX Runtime's log severity "fatal"


class OnnxRunner:
    """A loaded file."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            str(path), session_options(threads), providers=["CPUExecutionProvider"]
        )
        self._inputs = self._session.get_inputs()
        self._names = [tensor.name for tensor in self._inputs]

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        Raises:
            ValueError: another method, number of inputs, shape or type than the file has, or an id that the
                embedding lacks.
        """
        if method != "forward":  # an ONNX file is one graph
            raise ValueError(f"no method '{method}'; this file has 'forward'")
        if len(arrays) != len(self._names):
            raise ValueError(
                f"{len(arrays)} inputs given; this file takes {len(self._names)}: {', '.join(self._names)}"
            )
        try:
            return tuple(self._session.run(None, dict(zip(self._names, arrays, strict=True))))
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            wanted = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in self._inputs)
            given = ", ".join(f"tensor({array.dtype}) {list(array.shape)}" for array in arrays)
            raise ValueError(f"this file takes {wanted}; given {given}: {_first_line(error)}") from error


def load(path: Path, threads: int = 1) -> OnnxRunner:
    """Open an .onnx file.

    Raises:
        DamagedFileError: no such file, or not one that ONNX Runtime can load.
    """
    if not path.is_file():
        raise DamagedFileError(f"{path}: no such file; get it anew")
    try:
        return OnnxRunner(path, threads)
    # ONNX Runtime's errors have no common base but Exception (InvalidProtobuf, InvalidGraph, Fail, …)
    except Exception as error:
        raise DamagedFileError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)}); get it anew") from error


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Options for a phone or a small server: few threads, none of them spinning while there is nothing to do."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = SILENT
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
