"""What one thread of this machine reaches at best: multiply-adds a second, and bytes read a second.

The rates are those of the fastest matrix product that an installed library has, since no code of ours would be
faster: OpenBLAS (NumPy), MLAS (ONNX Runtime), oneDNN and MKL (PyTorch). Another load of the machine only
ever makes a repeat slower, so the fastest repeat counts.
"""

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from edgewright.benchmarks.bench_record import Bandwidth, Peaks

# rows, inner size, columns: operands that fit the second cache (256 kB on small cores, 1 MB on this kind of machine)
SIZES = ((64, 256, 256), (128, 256, 256), (256, 256, 256), (256, 512, 256), (384, 384, 384))
WORKING_SETS = (16 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 8 << 20, 32 << 20, 256 << 20)
READ_AT_ONCE = 8 << 20  # bytes that one timed call reads at least: 16 kB alone take less time than a call from Python
SHARE_OF_PRODUCTS = 0.6  # of the seconds; the rest goes to the bandwidth

Size = tuple[int, int, int]
Product = Callable[[], object]


@dataclass(frozen=True)
class _Kernel:
    """name: as the record says it. make: a call that multiplies matrices of a size once."""

    name: str
    make: Callable[[Size], Product]


def measure_peaks(seconds: float) -> Peaks:
    """The peaks of one thread of this process, in about `seconds` seconds plus the imports of the libraries.

    A library that is not installed, or that has no such kernel for this processor, is left out. Pin the process to
    one CPU first. In a process that may run on several, the libraries are told to use one thread and PyTorch is left
    with one.
    """
    float_kernels, int_kernels = _kernels()
    with threadpool_limits(limits=1):
        each = SHARE_OF_PRODUCTS * seconds / len(SIZES) / (len(float_kernels) + len(int_kernels))
        fp32_rate, fp32_by = _best(float_kernels, each)
        int8_rate, int8_by = _best(int_kernels, each)
        bandwidth = _bandwidths((1 - SHARE_OF_PRODUCTS) * seconds / len(WORKING_SETS))
    return Peaks(fp32_rate, int8_rate, fp32_by, int8_by, bandwidth)


def bandwidth_at(peaks: Peaks, working_set_bytes: float) -> float:
    """Gigabytes a second that are read from a working set of that size, between the measured sizes by the logarithm."""
    sizes = np.log([one.working_set_bytes for one in peaks.bandwidth])
    rates = [one.gigabytes_per_second for one in peaks.bandwidth]
    return float(np.interp(np.log(max(1.0, working_set_bytes)), sizes, rates))


def _kernels() -> tuple[list[_Kernel], list[_Kernel]]:
    """The float32 and the int8 products of all libraries that are installed; NumPy has no fast one for integers."""
    floats, integers = [_Kernel("NumPy matmul", _numpy), _Kernel("PyTorch mm", _torch)], []
    integers.append(_Kernel("PyTorch _int_mm", _torch_integers))
    if all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime")):
        floats.append(_Kernel("ONNX Runtime MatMul", lambda size: _onnx(size, integers=False)))
        integers.append(_Kernel("ONNX Runtime MatMulInteger", lambda size: _onnx(size, integers=True)))
    return floats, integers


def _best(kernels: Sequence[_Kernel], seconds: float) -> tuple[float, str]:
    """The best rate in 1e9 multiply-adds a second, and what reached it; `seconds` for each kernel and size."""
    found = []
    for kernel in kernels:
        for rows, inner, columns in SIZES:
            try:
                least_ns = _least_ns(kernel.make((rows, inner, columns)), seconds)
            except (RuntimeError, NotImplementedError):  # PyTorch's way to say that a processor lacks a kernel
                continue
            name = f"{kernel.name}, {rows} x {inner} by {inner} x {columns}"
            found.append((rows * inner * columns / least_ns, name))
    return max(found)


def _least_ns(call: Product, seconds: float) -> int:
    call()  # packs operands and fills the caches
    clock, least = time.perf_counter_ns, 1 << 62
    end = clock() + int(seconds * 1e9)
    while True:
        start = clock()
        call()
        now = clock()
        least = min(least, now - start)
        if now >= end:
            return least


def _numpy(size: Size) -> Product:
    left, right = _floats(size)
    result = np.empty((size[0], size[2]), np.float32)
    return lambda: np.matmul(left, right, out=result)


def _torch(size: Size) -> Product:
    import torch

    torch.set_num_threads(1)
    left, right = (torch.from_numpy(array) for array in _floats(size))
    result = torch.empty(size[0], size[2])
    return lambda: torch.mm(left, right, out=result)


def _torch_integers(size: Size) -> Product:
    import torch

    torch.set_num_threads(1)
    left, right = (torch.from_numpy(array.astype(np.int8)) for array in _integers(size))
    return lambda: torch._int_mm(left, right)


def _onnx(size: Size, integers: bool) -> Product:
    """The right matrix is a constant, which MLAS packs once, and the operands stay in place between calls."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from edgewright.runtimes.onnx import session_options

    rows, inner, columns = size
    left, right = _integers(size) if integers else _floats(size)
    kind, answer = (TensorProto.UINT8, TensorProto.INT32) if integers else (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger" if integers else "MatMul", ["left", "right"], ["result"])],
        "product",
        [helper.make_tensor_value_info("left", kind, [rows, inner])],
        [helper.make_tensor_value_info("result", answer, [rows, columns])],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(1), providers=["CPUExecutionProvider"]
    )
    bound = session.io_binding()
    bound.bind_ortvalue_input("left", onnxruntime.OrtValue.ortvalue_from_numpy(left))
    result = np.empty((rows, columns), np.int32 if integers else np.float32)
    bound.bind_ortvalue_output("result", onnxruntime.OrtValue.ortvalue_from_numpy(result))
    return lambda: session.run_with_iobinding(bound)


def _floats(size: Size) -> tuple[np.ndarray, np.ndarray]:
    rows, inner, columns = size
    random = np.random.default_rng(0)
    return random.random((rows, inner), dtype=np.float32), random.random((inner, columns), dtype=np.float32)


def _integers(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """uint8 by int8, the pair that AVX-512 VNNI multiplies; below 128, so that it is good for int8 too."""
    rows, inner, columns = size
    random = np.random.default_rng(0)
    return (
        random.integers(0, 127, (rows, inner), dtype=np.uint8),
        random.integers(-127, 127, (inner, columns), dtype=np.int8),
    )


def _bandwidths(seconds: float) -> tuple[Bandwidth, ...]:
    return tuple(Bandwidth(size, _read_rate(size, seconds)) for size in WORKING_SETS)


def _read_rate(working_set_bytes: int, seconds: float) -> float:
    """Gigabytes a second of dot products of two vectors that together are the working set, read again and again.

    A dot product reads two numbers for one multiply-add, so that it waits for nothing but its operands.
    """
    count = working_set_bytes // 8  # float32 numbers in each vector
    times = max(1, READ_AT_ONCE // working_set_bytes)
    # a stride of 0 reads the same vector `times` times inside one call
    left, right = (np.broadcast_to(np.ones(count, np.float32), (times, count)) for _ in range(2))
    return working_set_bytes * times / _least_ns(lambda: np.vecdot(left, right), seconds)
