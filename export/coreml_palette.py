"""A palette of a weight tensor: 16 values and, for each weight, the number of its nearest one.

k-means on a line (Lloyd's algorithm), started at quantiles: exact sums over sorted values, so that the same weights
give the same palette on every machine. For weights with one hump the result is the best palette there is (Fleischer
1964: a log-concave density has one stationary point).
"""

import numpy as np

_MOST_ROUNDS = 1000


def palette(weight: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(float16 table of 2 ** bits values, rising; uint8 indices of the weight's shape).

    One entry is exactly 0, as the rows of padding in an embedding must stay 0: sums run over them.
    """
    values, places, counts = np.unique(weight.astype(np.float16), return_inverse=True, return_counts=True)
    size = 2**bits
    if len(values) > size:
        table = _lloyd(values.astype(np.float64), counts, size)
    else:
        table = np.concatenate([values, np.full(size - len(values), values[-1])])
    table = table.astype(np.float16)
    table[np.abs(table).argmin()] = 0
    middles = (table[1:].astype(np.float64) + table[:-1]) / 2
    indices = np.searchsorted(middles, values.astype(np.float64)).astype(np.uint8)
    return table, indices[places].reshape(weight.shape)


def _lloyd(values: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """The mean of each of `size` runs of the rising `values`, each value `counts` times."""
    cumulated = np.concatenate([[0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(values * counts)])
    # bounds[k]: where run k begins; each run starts with as many weights as the others, and at least one value
    bounds = np.searchsorted(cumulated, np.linspace(0, cumulated[-1], size + 1))
    bounds = np.maximum(bounds, np.arange(size + 1))
    bounds = np.minimum(bounds, len(values) - np.arange(size, -1, -1))
    for _ in range(_MOST_ROUNDS):
        means = np.diff(sums[bounds]) / np.diff(cumulated[bounds])
        moved = bounds.copy()
        moved[1:-1] = np.searchsorted(values, (means[1:] + means[:-1]) / 2)
        if np.array_equal(moved, bounds):
            break
        bounds = moved
    return means
