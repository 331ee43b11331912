"""LiteRT (.tflite) on the CPU, with XNNPACK: one signature per method and length, all in one file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgewright.errors import DamagedFileError
from edgewright.runtimes.native_log import quiet_stderr

SUFFIX = ".tflite"
MAGIC = b"TFL3"  # at byte 4


@dataclass(frozen=True)
class _Signature:
    """Where the tensors of one signature lie in the file, in the method's order."""

    subgraph: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class LitertRunner:
    """A loaded file. Not for use from two threads at once: the tensors are shared between calls."""

    def __init__(self, path: Path, threads: int) -> None:
        with quiet_stderr():  # "Created TensorFlow Lite XNNPACK delegate", once a process
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        # SignatureRunner resizes and allocates at every call, 2 µs; set, invoke and get by subgraph are 0.9 µs,
        # but the public methods only reach subgraph 0
        self._native = interpreter._interpreter
        self._signatures = {key: self._signature(key, names) for key, names in self._native.GetSignatureDefs().items()}
        self._by_call = {self._call(key): signature for key, signature in self._signatures.items()}

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
        native, subgraph = self._native, signature.subgraph
        for tensor, array in zip(signature.inputs, arrays, strict=True):
            native.SetTensor(tensor, array, subgraph)
        try:
            native.Invoke(subgraph)
        except RuntimeError as error:
            raise ValueError(f"{method} does not run on these values: {_first_line(error)}") from error
        return tuple([native.GetTensor(tensor, subgraph) for tensor in signature.outputs])

    def _signature(self, key: str, names: dict[str, dict[str, int]]) -> _Signature:
        subgraph = self._native.GetSubgraphIndexFromSignature(key)
        self._native.AllocateTensors(subgraph)

        def in_order(tensors: dict[str, int]) -> tuple[int, ...]:
            # a file lists a signature's tensors by the alphabet; the exporter keeps the order in the tensors' names
            return tuple(
                sorted(tensors.values(), key=lambda tensor: _position(self._native.TensorName(tensor, subgraph)))
            )

        return _Signature(subgraph, in_order(names["inputs"]), in_order(names["outputs"]))

    def _call(self, key: str) -> tuple[str | tuple[int, ...], ...]:
        signature = self._signatures[key]
        shapes = (self._native.TensorSize(tensor, signature.subgraph) for tensor in signature.inputs)
        return key.rpartition("_")[0], *(tuple(int(size) for size in shape) for shape in shapes)


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
