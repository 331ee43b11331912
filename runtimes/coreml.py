"""Core ML packages (.mlpackage) on any operating system, through the reference interpreter in `mil/`.

It shows that a package computes what PyTorch computes, by the documented meaning of its operators. It is not Apple's
runtime: it says nothing about speed, placement or rounding on a device (docs/decisions/0005-coreml-without-a-mac.md).
"""

from pathlib import Path

import numpy as np

from edgewright.errors import DamagedFileError
from edgewright.runtimes.mil.loading import declared_mode, load_program, read_model
from edgewright.runtimes.mil.program import Mode, Program

SUFFIX = ".mlpackage"
RUNTIME_NAME = "MIL reference interpreter (not Apple's runtime)"


class CoreMLRunner:
    """A loaded package, one Program a method.

    mode: "fp16" rounds each result that the package declares float16, "fp32" rounds nothing.
    """

    def __init__(self, programs: dict[str, Program], shapes: dict[str, tuple[tuple[int, ...], ...]]) -> None:
        self.programs = programs
        self.shapes = shapes  # of the only input that has several, by its name

    @property
    def mode(self) -> Mode:
        return next(iter(self.programs.values())).mode

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The tensors that the method returns, float32; of a classifier the logits, not the label.

        Raises:
            ValueError: another number of inputs, or another shape or type, than the package declares.
        """
        if method not in self.programs:
            raise ValueError(f"no method '{method}'; this package has {', '.join(self.programs)}")
        program = self.programs[method]
        return tuple(v for v in program.run(self._feeds(program, arrays)).values() if isinstance(v, np.ndarray))

    def _feeds(self, program: Program, arrays: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        inputs = [i for i in program.inputs if not i.is_state]
        if len(arrays) != len(inputs):
            names = ", ".join(i.name for i in inputs)
            raise ValueError(f"{len(arrays)} inputs given; this package takes {len(inputs)}: {names}")
        for expected, array in zip(inputs, arrays, strict=True):
            if np.issubdtype(expected.dtype, np.integer) != np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{expected.name} is {array.dtype}; this package takes {expected.dtype}")
            allowed = self.shapes.get(expected.name)
            if allowed and array.shape not in allowed:
                raise ValueError(f"{expected.name} has shape {array.shape}; this package takes {_listed(allowed)}")
            if len(array.shape) != len(expected.sizes) or any(
                wanted not in (None, got) for wanted, got in zip(expected.sizes, array.shape, strict=True)
            ):
                raise ValueError(f"{expected.name} has shape {array.shape}; this package takes {expected.sizes}")
        return {expected.name: array for expected, array in zip(inputs, arrays, strict=True)}


def load(path: Path, threads: int = 1, mode: Mode | None = None) -> CoreMLRunner:
    """Open a package. Without `mode`, "fp16" where any operator's result is float16, else "fp32".

    threads: accepted as for every runtime; NumPy's matrix products use what its environment says.

    Raises:
        DamagedFileError: the package is cut or changed, or is no ML Program.
        EdgewrightError: it has an operator that the interpreter does not know.
    """
    if not path.is_dir():
        raise DamagedFileError(f"{path}: no such package; a .mlpackage is a folder")
    model = read_model(path)
    description = model.description
    mode = mode or declared_mode(model)
    names = [f.name for f in description.functions]  # empty in a package of one function
    programs = {n: load_program(path, mode, n) for n in names} or {"forward": load_program(path, mode)}
    declared = [i for f in description.functions for i in f.input] or description.input
    return CoreMLRunner(programs, {i.name: _enumerated(i) for i in declared if _enumerated(i)})


def _enumerated(feature: object) -> tuple[tuple[int, ...], ...]:
    shapes = feature.type.multiArrayType.enumeratedShapes.shapes  # type: ignore[attr-defined]
    return tuple(tuple(s.shape) for s in shapes)


def _listed(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " or ".join(str(s) for s in shapes)
