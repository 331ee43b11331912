"""Two integers of 4 bits in a byte, as embeddings store them in ExecuTorch, LiteRT and ONNX: 16 * second + first.

The first half of a row's columns goes into the first integers and the other half into the second ones, so that a row
is unpacked into two parts that only need to be joined; neighbours in a byte would have to be woven into each other,
number by number. Plain arithmetic on the byte gives both back, for which every runtime has fast operators:
floor((byte + 8) / 16) is the second, as the first lies in -7..7.
"""

import numpy as np

SHIFT = 8  # added to a byte, what lies under the second integer is positive


def packed(integers: np.ndarray) -> np.ndarray:
    """int8 (rows, width / 2) of int8 integers (rows, width) in -7..7; the width is even."""
    first, second = np.split(integers, 2, axis=1)
    return (16 * second + first).astype(np.int8)


def unpacked(stored: np.ndarray) -> np.ndarray:
    """The integers (rows, width) of `packed` ones."""
    second = (stored.astype(np.int16) + SHIFT) // 16
    return np.concatenate([stored - 16 * second, second], axis=1).astype(np.int8)
