"""Timing an operator of a fraction of a microsecond: many copies of it in one graph, against one.

What a call costs beside the operator is the same in both graphs and drops out of the difference.
"""

import time
from collections.abc import Callable

import numpy as np

MOST = 24
CACHE_BYTES = 384 << 10  # copies keep their packed weights apart; more than this would not stay in the second cache


def copies_of(touched_bytes: int) -> int:
    """How many copies of an operator that touches so many bytes with its result."""
    return int(np.clip(CACHE_BYTES // max(1, touched_bytes), 2, MOST))


def one_copy_us(single: Callable[[], object], many: Callable[[], object], copies: int, calls: int) -> float:
    """Microseconds of one copy: the difference of the median calls, over copies - 1. At least 0."""
    clock = time.perf_counter_ns
    times: tuple[list[int], list[int]] = ([], [])
    for call in (single, many):
        for _ in range(max(3, calls // 10)):
            call()
    for _ in range(calls):  # in turn, so that a slower moment of the machine meets both
        for call, taken in zip((single, many), times, strict=True):
            start = clock()
            call()
            taken.append(clock() - start)
    one, all_of_them = (float(np.median(taken)) for taken in times)
    return max(0.0, (all_of_them - one) / (copies - 1) / 1000)
