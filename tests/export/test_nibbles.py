"""Two integers of 4 bits in a byte."""

import numpy as np
import pytest

from edgewright.export import nibbles


@pytest.mark.parametrize("width", [2, 16, 24, 48, 96])
def test_integers_come_back_and_take_half_of_the_bytes(width: int) -> None:
    integers = np.random.default_rng(width).integers(-7, 8, (40, width)).astype(np.int8)
    stored = nibbles.packed(integers)
    assert stored.dtype == np.int8 and stored.nbytes == integers.nbytes / 2
    assert np.array_equal(nibbles.unpacked(stored), integers)


def test_every_pair_comes_back_by_the_arithmetic_that_the_runtimes_do() -> None:
    first, second = (part.ravel() for part in np.meshgrid(np.arange(-7, 8), np.arange(-7, 8)))
    stored = nibbles.packed(np.stack([first, second], axis=1).astype(np.int8))[:, 0]
    sixteenths = (stored.astype(np.float32) + nibbles.SHIFT) / 16
    assert np.array_equal(np.floor(sixteenths), second)
    assert np.array_equal((sixteenths - np.floor(sixteenths)) * 16 - nibbles.SHIFT, first)
