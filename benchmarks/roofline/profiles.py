"""The time of each operator of an artifact, by the best means that its runtime has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from edgewright.errors import missing_extra
from edgewright.runtimes import Runtime

PROFILERS = {"litert": "litert_profile", "executorch": "executorch_profile", "onnx": "onnx_profile"}


@dataclass(frozen=True)
class Profile:
    """Microseconds of one call.

    source: what they come from, with its resolution. times_us: by the names that operators_of gives. other_us: what
    was timed and belongs to no single operator, by a name that says what it is.
    """

    source: str
    times_us: dict[str, float]
    other_us: dict[str, float] = field(default_factory=dict)

    @property
    def total_us(self) -> float:
        return sum(self.times_us.values()) + sum(self.other_us.values())


def profile(runtime: Runtime, path: Path, inputs: Sequence[np.ndarray], calls: int) -> Profile:
    """Where the time of the method "forward" goes for inputs of these shapes, with one thread.

    A profile costs time itself, and an operator alone in a graph is not quite what it is among others: take the
    shares, not the sum. Raises as operators_of.
    """
    if runtime not in PROFILERS:
        raise ValueError(f"{runtime} has no profiler here; one of {', '.join(PROFILERS)}")
    try:
        profiler = import_module(f"edgewright.benchmarks.roofline.{PROFILERS[runtime]}")
    except ImportError as error:
        raise missing_extra(error, runtime, f"the profile of {runtime}") from error
    return profiler.profile(path, inputs, calls)
