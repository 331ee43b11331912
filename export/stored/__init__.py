"""What a finished file stores of each weight, read back out of the file alone: one reader a target.

Every reader undoes what its exporter does to a weight (taps of a convolution in a row, turned matrices, gates in
another order, merged matrices), so that what it gives has the parameter's own layout. LiteRT, Core ML and ONNX files
name their constants after the parameters. A .pte file has no names: there each tensor is taken for the parameter that
it differs from in the fewest integers.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np

from edgewright.compress.numerics import Target
from edgewright.compress.quantize import QuantizedModel
from edgewright.errors import DamagedFileError, EdgewrightError, missing_extra

Kind = Literal["int8", "int4", "float32", "float16", "palette"]
BITS: dict[Kind, int] = {"int8": 8, "int4": 4}


@dataclass(frozen=True)
class Held:
    """One weight as one function of a file has it.

    function: "forward_16", "step"; "" of Core ML, which shares constants between its functions.
    values: of integers int8 without their zero point, of floats the numbers; in the parameter's layout.
    scales: float32 or float16 as stored; () for one, (rows,) or (rows, blocks). None of floats and palettes, and
        where the file has none for these integers.
    """

    function: str
    kind: Kind
    values: np.ndarray
    scales: np.ndarray | None = None


@dataclass(frozen=True)
class Contents:
    """functions: all of the file, where they hold constants of their own; weights: by parameter, one or more each."""

    functions: tuple[str, ...]
    weights: dict[str, list[Held]]


def read(target: Target, path: Path, model: QuantizedModel, names: Collection[str]) -> Contents:
    """What the file at `path` stores of the parameters `names`.

    model: the shapes of the parameters; and what a .pte file's tensors are recognised by.

    Raises:
        MissingExtraError: the libraries that know the format are not installed.
        DamagedFileError: the file is not what its format promises.
    """
    try:
        return reader(target)(path, model, names)
    except (EdgewrightError, OSError):  # OSError: the command line tells it with the file's name
        raise
    except Exception as error:  # flatbuffers and protobufs that do not fit together end in any kind of error
        reason = " ".join(str(error).split())[:200]
        raise DamagedFileError(
            f"{path}: its weights cannot be read ({type(error).__name__}: {reason}); get the file anew"
        ) from error


def reader(target: Target) -> Callable[[Path, QuantizedModel, Collection[str]], Contents]:
    """What reads the files of a target.

    Raises:
        MissingExtraError: the libraries that know the format are not installed.
    """
    try:
        module = import_module(f"edgewright.export.stored.{target}")
    except ImportError as error:
        raise missing_extra(error, target, f"reading the weights of {target}") from error
    read_file: Callable[[Path, QuantizedModel, Collection[str]], Contents] = module.read
    return read_file


def shape_of(model: QuantizedModel, name: str) -> tuple[int, ...]:
    return tuple(model.module.get_parameter(name).shape)


def from_taps(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A weight of `shape` from rows of taps * columns, as a convolution over (B, T, D) stores it."""
    if len(shape) < 3:
        return values.reshape(shape)
    rows, columns, taps = shape
    return values.reshape(rows, taps, columns).swapaxes(1, 2)


def fewest_axes(scales: np.ndarray) -> np.ndarray:
    """(), (rows,) or (rows, blocks) from scales with axes of 1 behind them."""
    while scales.ndim and scales.shape[-1] == 1:
        scales = scales[..., 0]
    return scales
