"""The fixed work whose time says how fast the machine is at a moment."""

import time

import numpy as np

_random = np.random.default_rng(0)
_SQUARE = _random.random((96, 96), dtype=np.float32)
_SMALL = _random.random((32, 32), dtype=np.float32) / 32
_VECTOR = _random.random(32, dtype=np.float32)
_TABLE = _random.random((4096, 16), dtype=np.float32)
_ROWS = _random.integers(0, 4096, 256)


def reference_ns(repeats: int = 5) -> int:
    """Median time of about 0.4 ms of work in the proportions of a call: matrix products, small NumPy calls, the
    interpreter, and look-ups in a table.

    Each of these suffers differently from a neighbour on the same caches or memory; on one product alone, a call of a
    few microseconds looks noisier than it is.
    """
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter_ns()
        _work()
        times.append(time.perf_counter_ns() - start)
    return int(np.median(times[1:]))  # the first one fills the caches


def _work() -> int:
    square = _SQUARE
    for _ in range(6):
        square = np.maximum(_SQUARE @ square, 0) / 96
    vector = _VECTOR
    for _ in range(70):
        vector = np.maximum(_SMALL.dot(vector), 0.5)
    for _ in range(10):
        _TABLE[_ROWS].sum(axis=0)
    found, state = {}, 0
    for number in range(1100):
        state = (state * 31 + number) & 0xFFFF
        found[state & 255] = state
    return len(found)
