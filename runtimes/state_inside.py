"""Core ML packages that keep a method's state inside, run as if the state were handed in and out.

An app has an MLState for each sequence; here what it holds is set before a call and read after it, so that whatever
takes the state of an artifact takes that of such a package too. It has 11 bits: Core ML keeps states in float16.
"""

from pathlib import Path

import numpy as np

from edgewright.errors import DamagedFileError
from edgewright.runtimes import Runner, load
from edgewright.runtimes.coreml import CoreMLRunner


class StateInside:
    """A runner whose method is that of the package; any other method is run by `others`.

    others: the artifact that hands its state in and out, where the bundle has one to go with.
    """

    def __init__(self, package: CoreMLRunner, others: Runner | None = None) -> None:
        self.package = package
        self.others = others

    def run(self, *arrays: np.ndarray, method: str = "step") -> tuple[np.ndarray, ...]:
        """As Runner.run: the states are the last inputs, and the last outputs, float32.

        Raises:
            ValueError: another number of inputs, or another shape or type, than the package declares.
        """
        if method not in self.package.programs:
            return (self.others or self.package).run(*arrays, method=method)  # the package says that it has none
        program = self.package.programs[method]
        states = [one for one in program.inputs if one.is_state]
        if len(arrays) != len(program.inputs):
            names = ", ".join(one.name for one in program.inputs)
            raise ValueError(f"{len(arrays)} inputs given; {method} takes {len(program.inputs)}: {names}")
        first = len(arrays) - len(states)
        fresh, given = arrays[:first], arrays[first:]
        for one, value in zip(states, given, strict=True):
            if value.shape != program.states[one.name].shape:
                raise ValueError(f"{one.name} has shape {value.shape}; it is {program.states[one.name].shape}")
            program.states[one.name] = one.store(value)
        found = self.package.run(*fresh, method=method)
        return *found, *(np.array(program.states[one.name], np.float32) for one in states)


def load_package(path: Path, others: Runner | None = None) -> StateInside:
    """Open a package that keeps its state.

    Raises:
        MissingExtraError, DamagedFileError: as runtimes.load; or it keeps no state.
    """
    runner = load("coreml", path)
    assert isinstance(runner, CoreMLRunner)
    if not any(one.is_state for program in runner.programs.values() for one in program.inputs):
        raise DamagedFileError(f"{path}: keeps no state; get the bundle anew")
    return StateInside(runner, others)
