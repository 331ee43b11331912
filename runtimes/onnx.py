"""ONNX Runtime on the CPU: any batch and any length.

An artifact is a file, one graph that is called `forward`, or a folder with a file `<method>.onnx` for each method. Each
file of a folder names all of them in its metadata, `methods`, as a JSON list.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from edgewright.errors import DamagedFileError

SUFFIX = ".onnx"
SILENT = 4  # ONNX Runtime's log severity "fatal"


class OnnxRunner:
    """A loaded file or folder."""

    def __init__(self, files: Mapping[str, Path], threads: int) -> None:
        self._graphs = {method: _Graph(file, threads) for method, file in files.items()}

    def missing(self) -> set[str]:
        """The methods that the files name without one of them being there."""
        return {name for graph in self._graphs.values() for name in graph.siblings} - self._graphs.keys()

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        Raises:
            ValueError: another method, number of inputs, shape or type than the file has, or an id that the
                embedding lacks.
        """
        graph = self._graphs.get(method)
        if graph is None:
            known = ", ".join(f"'{name}'" for name in self._graphs)
            raise ValueError(f"no method '{method}'; this file has {known}")
        return graph.run(arrays)


class _Graph:
    """One method."""

    def __init__(self, file: Path, threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            str(file), session_options(threads), providers=["CPUExecutionProvider"]
        )
        self._inputs = self._session.get_inputs()
        self._names = [tensor.name for tensor in self._inputs]
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]  # None for all of them takes 3 µs more
        properties = self._session.get_modelmeta().custom_metadata_map
        self.siblings: list[str] = json.loads(properties.get("methods", "[]"))

    def run(self, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        if len(arrays) != len(self._names):
            raise ValueError(
                f"{len(arrays)} inputs given; this file takes {len(self._names)}: {', '.join(self._names)}"
            )
        try:
            return tuple(self._session.run(self._outputs, dict(zip(self._names, arrays, strict=True))))
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            wanted = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in self._inputs)
            given = ", ".join(f"tensor({array.dtype}) {list(array.shape)}" for array in arrays)
            raise ValueError(f"this file takes {wanted}; given {given}: {_first_line(error)}") from error


def load(path: Path, threads: int = 1) -> OnnxRunner:
    """Open an .onnx file, or a folder of them.

    Raises:
        DamagedFileError: no such file, a folder without one, or a file that ONNX Runtime cannot load.
    """
    if path.is_dir():
        files = {file.stem: file for file in sorted(path.glob(f"*{SUFFIX}"))}
        if not files:
            raise DamagedFileError(f"{path}: no file <method>{SUFFIX} in it; get it anew")
    elif path.is_file():
        files = {"forward": path}
    else:
        raise DamagedFileError(f"{path}: no such file; get it anew")
    try:
        runner = OnnxRunner(files, threads)
    # ONNX Runtime's errors have no common base but Exception (InvalidProtobuf, InvalidGraph, Fail, …)
    except Exception as error:
        raise DamagedFileError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)}); get it anew") from error
    if missing := runner.missing():
        raise DamagedFileError(f"{path}: {min(missing)}{SUFFIX} is missing; get it anew")
    return runner


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Options for a phone or a small server: few threads, none of them spinning while there is nothing to do."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # for files whose weights are still signed (see export/onnx_unsigned.py): exact without VNNI too
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = SILENT
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
