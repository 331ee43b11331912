"""Core ML packages (.mlpackage) on any operating system, through the reference interpreter in `mil/`.

It shows that a package computes what PyTorch computes, by the documented meaning of its operators. It is not Apple's
runtime: it says nothing about speed, placement or rounding on a device (docs/decisions/0005-coreml-without-a-mac.md).
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import DamagedFileError
from edgewright.runtimes.mil.loading import declared_mode, load_program, read_model
from edgewright.runtimes.mil.program import Mode, Program

SUFFIX = ".mlpackage"
RUNTIME_NAME = "MIL reference interpreter (not Apple's runtime)"


Sizes = tuple[tuple[int, int], ...]  # the least and the largest size of each axis; the largest may be -1, any


class CoreMLRunner:
    """A loaded package, one Program a method."""

    def __init__(self, programs: dict[str, Program], shapes: dict[str, tuple[Sizes, ...]]) -> None:
        self.programs = programs
        self.shapes = shapes  # of each input, by its name

    @property
    def mode(self) -> Mode:
        """ "fp16" rounds each result that the package declares float16, "fp32" rounds nothing."""
        return next(iter(self.programs.values())).mode

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The tensors that the method returns, float32; of a classifier the logits, not the label.

        Raises:
            ValueError: another number of inputs, or another shape or type, than the package declares.
            EdgewrightError: an operator cannot compute, as with an id that is no row of the embedding.
        """
        if method not in self.programs:
            raise ValueError(f"no method '{method}'; this package has {', '.join(self.programs)}")
        program = self.programs[method]
        results = program.run(self._feeds(program, arrays))
        return tuple(value for value in results.values() if isinstance(value, np.ndarray))

    def _feeds(self, program: Program, arrays: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        inputs = [i for i in program.inputs if not i.is_state]
        if len(arrays) != len(inputs):
            names = ", ".join(i.name for i in inputs)
            raise ValueError(f"{len(arrays)} inputs given; this package takes {len(inputs)}: {names}")
        for expected, array in zip(inputs, arrays, strict=True):
            if np.issubdtype(expected.dtype, np.integer) != np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{expected.name} is {array.dtype}; this package takes {expected.dtype}")
            allowed = self.shapes[expected.name]
            if not any(_fits(array.shape, sizes) for sizes in allowed):
                wanted = " or ".join(_text(sizes) for sizes in allowed)
                raise ValueError(f"{expected.name} has shape {array.shape}; this package takes {wanted}")
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
    shapes = {i.name: _shapes(i.type.multiArrayType) for i in declared}
    for program in programs.values():
        for expected in program.inputs:
            if not expected.is_state and expected.name not in shapes:
                raise DamagedFileError(f"{path}: the input '{expected.name}' is not described; get the package anew")
    return CoreMLRunner(programs, shapes)


def _shapes(array: Any) -> tuple[Sizes, ...]:
    """The shapes that an input's description allows."""
    if array.enumeratedShapes.shapes:
        return tuple(tuple((n, n) for n in shape.shape) for shape in array.enumeratedShapes.shapes)
    if array.shapeRange.sizeRanges:
        return (tuple((r.lowerBound, r.upperBound) for r in array.shapeRange.sizeRanges),)
    return (tuple((n, n) for n in array.shape),)


def _fits(shape: tuple[int, ...], sizes: Sizes) -> bool:
    return len(shape) == len(sizes) and all(
        low <= n and (n <= high or high < 0) for n, (low, high) in zip(shape, sizes, strict=True)
    )


def _text(sizes: Sizes) -> str:
    return "(" + ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in sizes) + ")"
