"""ExecuTorch (.pte) on the CPU, with XNNPACK: one function per method and length, all in one file."""

import os
import struct
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The public executorch.runtime wraps these few functions and imports the whole exporter with torchao for a warning:
# 3.5 s of processor time and 140 MB in each process that only wants to predict. torch has to be imported first.
from executorch.extension.pybindings import _C

from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes.native_log import quiet_stderr

SUFFIX = ".pte"
MAGIC = b"ET12"  # at byte 4
Input = tuple[tuple[int, ...], np.dtype[Any]]  # shape and type
HEADER = struct.Struct("<4s4sIQQQ")  # magic, "eh00", its length, bytes of the program, first segment, bytes of all
DTYPES: dict[int, np.dtype[Any]] = {3: np.dtype(np.int32), 4: np.dtype(np.int64), 6: np.dtype(np.float32)}  # ScalarType

TENSOR_DTYPES = {dtype: torch.from_numpy(np.empty(0, dtype)).dtype for dtype in DTYPES.values()}

# At every call the binding imports `sys`, twice, to send C++'s output to Python's, and an import looks whether the
# module is still being loaded. Only the spec of `sys` does not say: an AttributeError is made and dropped, 4 to 7 µs
# a call.
sys.__spec__._initializing = False  # type: ignore[attr-defined]

# ExecuTorch has one thread pool a process, and a loaded function keeps a pointer to it: only when no runner is
# left may it be exchanged
_runners: "weakref.WeakSet[ExecutorchRunner]" = weakref.WeakSet()


class ExecutorchRunner:
    """A loaded file. Not for use from two threads at once: the functions share their memory."""

    def __init__(self, path: Path, threads: int) -> None:
        _set_threads(threads)
        _runners.add(self)
        # a function that outlives its program reads freed memory
        self._program = _C._load_program(str(path), program_verification=_C.Verification.InternalConsistency)
        names = [self._program.get_method_name(index) for index in range(self._program.num_methods())]
        self._functions = {
            _call(name, inputs): _Function(self._program.load_method(name), inputs)
            for name in names
            if (inputs := _inputs(self._program.method_meta(name)))  # without inputs it is a constant: metadata
        }

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        Raises:
            ValueError: no function of the method takes these shapes and types.
        """
        function = self._functions.get((method, *[(array.shape, array.dtype) for array in arrays]))
        if function is None:
            wanted = "; ".join(_shown(call) for call in self._functions)
            given = _shown((method, *((array.shape, array.dtype) for array in arrays)))
            raise ValueError(f"no function takes {given}; this file has {wanted}")
        return function.run(arrays)


class _Function:
    """A function with arrays over its inputs and outputs: a tensor that is made for a call costs up to 2 µs."""

    def __init__(self, method: "_C.ExecuTorchMethod", inputs: list[Input]) -> None:
        self._method = method
        tensors = [torch.zeros(shape, dtype=TENSOR_DTYPES[dtype]) for shape, dtype in inputs]
        self._tensors = tensors
        self._inputs = [tensor.numpy() for tensor in tensors]
        meta = method.method_meta()
        # what lies in the file's own memory plan stays where it is. An input without a place in it is read where it
        # was when it was set; one with a place is copied there, for which it has to be set before each call
        self._copied = any(meta.input_tensor_meta(index).is_memory_planned() for index in range(meta.num_inputs()))
        if not all(meta.output_tensor_meta(index).is_memory_planned() for index in range(meta.num_outputs())):
            raise RuntimeError("an output without memory")
        method.set_inputs(tensors)
        self._outputs = [output.numpy() for output in method.get_outputs(clone_outputs=False)]

    def run(self, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        for view, array in zip(self._inputs, arrays, strict=True):
            view[...] = array
        if self._copied:
            self._method.set_inputs(self._tensors)
        self._method.execute()
        return tuple([view.copy() for view in self._outputs])  # a list takes 1.5 µs less than a generator


def load(path: Path, threads: int = 1) -> ExecutorchRunner:
    """Open a .pte file that edgewright wrote.

    Raises:
        DamagedFileError: no such file, or not one that this runtime can load.
        UsageError: another file is open with another number of threads.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(HEADER.size + 4)
            size = os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise DamagedFileError(f"{path}: {error.strerror or error}; get the file anew") from error
    if len(start) < HEADER.size + 4 or start[4:12] != MAGIC + b"eh00":
        raise DamagedFileError(f"{path}: not a .pte file, or cut off; get the file anew")
    *_, program, segments, segments_size = HEADER.unpack_from(start, 4)
    if size < max(program, segments + segments_size):
        whole = max(program, segments + segments_size)
        raise DamagedFileError(f"{path}: cut off, {size} bytes of {whole}; get the file anew")
    try:
        with quiet_stderr():  # it logs what it then raises, and what it finds out about the processor
            return ExecutorchRunner(path, threads)
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DamagedFileError(f"{path}: ExecuTorch cannot load it ({reason}); get the file anew") from error


def _set_threads(threads: int) -> None:
    now = _C._threadpool_get_thread_count()
    if threads == now:
        return
    if _runners:
        raise UsageError(
            f"ExecuTorch has one thread pool a process, and files are open with {now} threads; "
            f"open with {threads} threads in another process"
        )
    _C._unsafe_reset_threadpool(threads)


def _inputs(meta: "_C.MethodMeta") -> list[Input]:
    infos = [meta.input_tensor_meta(index) for index in range(meta.num_inputs())]
    return [(tuple(info.sizes()), DTYPES[info.dtype()]) for info in infos]


def _call(name: str, inputs: list[Input]) -> tuple[Any, ...]:
    """("forward", ((1, 16), int32)) of the function "forward_16"."""
    method, _, length = name.rpartition("_")
    return (method if length.isdecimal() else name, *inputs)


def _shown(call: tuple[Any, ...]) -> str:
    method, *inputs = call
    return f"{method}({', '.join(f'{dtype} {shape}' for shape, dtype in inputs)})"
