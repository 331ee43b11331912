"""Whether a Core ML package that keeps its state says what the artifact says that hands its state in and out.

Core ML keeps states in float16. So the package is compared twice: with the artifact whose state is rounded so between
calls, where nothing may differ, and with the artifact as it is, where that rounding may show.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.benchmarks.record import GateResult
from edgewright.benchmarks.sequence_parity import error
from edgewright.runtimes import Runner

SAME_BOUND = 1e-6
ROUNDING_BOUND = 5e-3  # ten roundings to 11 bits; a trained net of 160 units came to 2e-4 over 1,000 steps


@dataclass(frozen=True)
class StateParity:
    """Largest differences over all steps, relative to the largest output where that is above 1.

    same: from the artifact whose state is rounded between calls. rounding: from the artifact as it is.
    """

    same: float
    rounding: float
    steps: int


class RoundedState:
    """A runner whose `method` gets its state, the last `states` inputs, rounded to float16."""

    def __init__(self, runner: Runner, states: int, method: str = "step") -> None:
        self.runner = runner
        self.states = states
        self.method = method

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        if method == self.method:
            first = len(arrays) - self.states
            arrays = (*arrays[:first], *(state.astype(np.float16).astype(np.float32) for state in arrays[first:]))
        return self.runner.run(*arrays, method=method)


def compare(kept: np.ndarray, rounded: np.ndarray, plain: np.ndarray) -> StateParity:
    """The outputs (T, O) of the package, of the artifact over RoundedState, and of the artifact, for the same steps."""
    largest = max(1.0, float(np.abs(plain).max()))
    return StateParity(error(kept, rounded) / largest, error(kept, plain) / largest, len(plain))


def figures(parity: StateParity, size_bytes: int) -> dict[str, Any]:
    """What a record says of a cell's package, which has that size."""
    return {
        "state_package_bytes": size_bytes,
        "state_package_steps": parity.steps,
        "kept_state_error": parity.same,
        "state_rounding": parity.rounding,
    }


def gates(parity: StateParity) -> list[GateResult]:
    measured = (
        ("max_kept_state_error", SAME_BOUND, parity.same),
        ("max_state_rounding", ROUNDING_BOUND, parity.rounding),
    )
    return [GateResult(name, bound, value, "pass" if value <= bound else "fail") for name, bound, value in measured]
