"""LiteRT (.tflite) on the CPU, with XNNPACK: a signature per method and length, `forward_16` or `step`, in one file."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgewright.errors import DamagedFileError
from edgewright.runtimes.native_log import quiet_stderr

SUFFIX = ".tflite"
MAGIC = b"TFL3"  # at byte 4
LENGTH = re.compile(r"_\d+$")  # what the name of a signature has behind the method's, where it is of one length


@dataclass(frozen=True)
class _Signature:
    """A subgraph, and views of its inputs' and outputs' memory in the method's order."""

    subgraph: int
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


class LitertRunner:
    """A loaded file. Not for use from two threads at once: the tensors are shared between calls."""

    def __init__(self, path: Path, threads: int) -> None:
        with quiet_stderr():  # "Created TensorFlow Lite XNNPACK delegate", once a process
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        # SignatureRunner resizes and allocates at every call, 2 µs, and the public methods only reach subgraph 0. A
        # tensor set or got costs 0.4 µs, through a view 0.25; nothing is allocated anew that could move a view's memory
        self._native = interpreter._interpreter
        signatures = self._native.GetSignatureDefs()
        for key in signatures:
            self._native.AllocateTensors(self._native.GetSubgraphIndexFromSignature(key))
        self._by_call = dict(self._signature(key, names) for key, names in signatures.items())

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        Raises:
            ValueError: no signature of the method has these shapes, an array has another type, or an id is none
                that the embedding has.
        """
        signature = self._by_call.get((method, *[array.shape for array in arrays]))
        if signature is None:
            wanted = "; ".join(f"{call[0]}{_listed(call[1:])}" for call in self._by_call)
            given = _listed(tuple(array.shape for array in arrays))
            raise ValueError(f"no signature takes {method}{given}; this file has {wanted}")
        for view, array in zip(signature.inputs, arrays, strict=True):
            if array.dtype != view.dtype:
                raise ValueError(f"{method} takes {view.dtype} here, not {array.dtype}")
            view[...] = array
        try:
            self._native.Invoke(signature.subgraph)
        except RuntimeError as error:
            raise ValueError(f"{method} does not run on these values: {_first_line(error)}") from error
        return tuple([view.copy() for view in signature.outputs])

    def _signature(
        self, key: str, names: dict[str, dict[str, int]]
    ) -> tuple[tuple[str | tuple[int, ...], ...], _Signature]:
        """The signature behind what a call of it looks like: the method and the shapes of its inputs."""
        native = self._native
        subgraph = native.GetSubgraphIndexFromSignature(key)

        def views(tensors: dict[str, int]) -> tuple[np.ndarray, ...]:
            # a file lists a signature's tensors by the alphabet; the exporter keeps the order in the tensors' names
            in_order = sorted(tensors.values(), key=lambda tensor: _position(native.TensorName(tensor, subgraph)))
            return tuple(native.tensor(native, tensor, subgraph) for tensor in in_order)

        signature = _Signature(subgraph, views(names["inputs"]), views(names["outputs"]))
        return (LENGTH.sub("", key), *(view.shape for view in signature.inputs)), signature


def load(path: Path, threads: int = 1) -> LitertRunner:
    """Open a .tflite file that edgewright wrote.

    Raises:
        DamagedFileError: no such file, or not one that this runtime and this runner understand.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise DamagedFileError(f"{path}: {error.strerror or error}; get the file anew") from error
    if start[4:] != MAGIC:
        raise DamagedFileError(f"{path}: not a .tflite file, or cut off; get the file anew")
    try:
        return LitertRunner(path, threads)
    except (ValueError, RuntimeError) as error:  # what the native loader raises, and _position for a foreign file
        raise DamagedFileError(f"{path}: LiteRT cannot load it ({_first_line(error)}); get the file anew") from error


def _position(tensor_name: str) -> int:
    """1 of "output_1:state"."""
    place, colon, _ = tensor_name.partition(":")
    if not colon:
        raise ValueError(f"a tensor named '{tensor_name}' is not of our making")
    return int(place.rpartition("_")[2])


def _listed(shapes: tuple[object, ...]) -> str:
    return f"({', '.join(str(shape) for shape in shapes)})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
