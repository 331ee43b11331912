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
METHOD = "method"  # the package's own property that names the method of its only function, where it is not "forward"

Sizes = tuple[tuple[int, int], ...]  # the least and the largest size of each axis; the largest may be -1, any


class CoreMLRunner:
    """A loaded package, one Program a method."""

    def __init__(self, programs: dict[str, Program], shapes: dict[str, dict[str, tuple[Sizes, ...]]]) -> None:
        self.programs = programs
        self.shapes = shapes  # of each method's inputs, by their names

    @property
    def mode(self) -> Mode:
        """ "fp16" rounds each result that the package declares float16, "fp32" rounds nothing."""
        return next(iter(self.programs.values())).mode

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The tensors that the method returns, float32; of a classifier the logits, not the label.

        A package that keeps state changes it in each call; see `reset`.

        Raises:
            ValueError: another number of inputs, or another shape or type, than the package declares.
            EdgewrightError: an operator cannot compute, as with an id that is no row of the embedding.
        """
        if method not in self.programs:
            raise ValueError(f"no method '{method}'; this package has {', '.join(self.programs)}")
        program = self.programs[method]
        results = program.run(self._feeds(program, self.shapes[method], arrays))
        return tuple(value for value in results.values() if isinstance(value, np.ndarray))

    def reset(self) -> None:
        """Forget the state that the package keeps, as a new MLState does on a device."""
        for program in self.programs.values():
            program.reset()

    def _feeds(
        self, program: Program, shapes: dict[str, tuple[Sizes, ...]], arrays: tuple[np.ndarray, ...]
    ) -> dict[str, np.ndarray]:
        inputs = [i for i in program.inputs if not i.is_state]
        if len(arrays) != len(inputs):
            names = ", ".join(i.name for i in inputs)
            raise ValueError(f"{len(arrays)} inputs given; this package takes {len(inputs)}: {names}")
        for expected, array in zip(inputs, arrays, strict=True):
            if np.issubdtype(expected.dtype, np.integer) != np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{expected.name} is {array.dtype}; this package takes {expected.dtype}")
            allowed = shapes[expected.name]
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
    if description.functions:
        described = {function.name: function for function in description.functions}
        programs = {name: load_program(path, mode, name) for name in described}
    else:  # a package of one function
        name = description.metadata.userDefined.get(METHOD, "forward")
        described, programs = {name: description}, {name: load_program(path, mode)}
    shapes = {
        name: {i.name: _shapes(i.type.multiArrayType) for i in function.input} for name, function in described.items()
    }
    for name, program in programs.items():
        for expected in program.inputs:
            if not expected.is_state and expected.name not in shapes[name]:
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
