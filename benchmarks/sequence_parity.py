"""Whether an artifact of a sequence model computes the same by steps, by whole sequences, and as PyTorch does.

Shapes: T positions, I inputs, O outputs. Errors are relative to the largest output, where that is above 1: two kernels
that sum in another order differ by so many units in the last place of the numbers that they sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.compress.numerics import Numerics
from edgewright.runtimes import Runner
from edgewright.runtimes.stream import SequenceStream

PROVED_STEPS = 1_000
STEP_BOUND = 1e-5  # of fp32: a thousand steps against PyTorch's whole sequence
BUCKET_BOUND = 1e-6  # of fp32: a whole sequence against the file's own steps


@dataclass(frozen=True)
class Parity:
    """step_error: the largest over all steps. bucket_errors: of `forward` at each length, against the file's own steps.

    Both are relative as the module says; largest: the largest output of PyTorch.
    """

    step_error: float
    bucket_errors: dict[int, float]
    largest: float

    @property
    def bucket_error(self) -> float:
        return max(self.bucket_errors.values())


def compare(
    stream: SequenceStream, inputs: NDArray[np.float32], expected: NDArray[np.float32], lengths: Sequence[int]
) -> Parity:
    """Run inputs (T, I) through `step` and their beginnings through `forward`; `expected` (T, O) is PyTorch's."""
    stepped = stream.steps(inputs)
    largest = max(1.0, float(np.abs(expected).max()))
    whole = {length: stream.runner.run(inputs[None, :length])[0][0] for length in lengths if length <= len(inputs)}
    return Parity(
        error(stepped, expected) / largest,
        {length: error(found, stepped[:length]) / largest for length, found in whole.items()},
        largest,
    )


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference; infinite where `found` has a number that is none."""
    return float(np.abs(found - expected).max()) if np.isfinite(found).all() else float("inf")


def whole_rows(
    runner: Runner, inputs: NDArray[np.float32], counted: NDArray[np.bool_], lengths: Sequence[int]
) -> NDArray[np.float32]:
    """(B, T, O): `forward` of each row (T, I), in the shortest bucket that holds all that is counted of it.

    What stands behind the last counted position is 0. T is at most the largest of the ascending `lengths`.
    """
    ends = counted.shape[1] - counted[:, ::-1].argmax(axis=1)
    rows: list[NDArray[np.float32]] = []
    for row, real in zip(inputs, ends, strict=True):
        bucket = next(length for length in lengths if length >= real)
        padded = np.zeros((1, bucket, row.shape[1]), np.float32)
        padded[0, :real] = row[:real]
        given = runner.run(padded)[0][0]
        filled = np.zeros((len(row), given.shape[1]), np.float32)
        filled[:real] = given[:real]
        rows.append(filled)
    return np.stack(rows)


def bounds(numerics: Numerics) -> tuple[float, float] | None:
    """Of the step error and the bucket error; None where quantization or float16 decides them."""
    return (STEP_BOUND, BUCKET_BOUND) if numerics == "fp32" else None
