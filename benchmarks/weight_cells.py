"""One weight in one file beside its grid: how many integers differ, by how much the scales do, and how it is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgewright.compress.quantize import GridWeight
from edgewright.errors import DamagedFileError
from edgewright.export.stored import BITS, Held

# of the worst that was found of a weight; "absent" also where only one of the functions lacks it
State = Literal["equal", "equal_fp16", "scales", "integers", "bits", "palette", "float16", "float32", "absent"]
EQUAL = ("equal", "equal_fp16")


@dataclass(frozen=True)
class Cell:
    """One weight in one file.

    differing: integers that are not the grid's, of `size`, in any of the functions. scale_ulp, scale_relative: the
    largest difference of a scale, in steps of float32 and as a share of the grid's; both None where nothing is scaled.
    same: it is equal to what the first file stores of it; None where one of them holds no integers.
    functions: those that are the reason for the state, where not all are.
    """

    state: State
    bits: int | None
    differing: int
    size: int
    scale_ulp: int | None
    scale_relative: float | None
    same: bool | None = None
    functions: tuple[str, ...] = ()


def cell_of(held: Sequence[Held], grid: GridWeight | None, lacking: tuple[str, ...]) -> Cell:
    """See Cell; without a grid only the kind is told."""
    if not held:
        return Cell("absent", None, 0, 0, None, None)
    if lacking:
        return Cell("absent", None, 0, held[0].values.size, None, None, functions=lacking)
    kinds: tuple[State, ...] = ("float32", "float16", "palette")
    for kind in kinds:
        if of_kind := [one for one in held if one.kind == kind]:
            some = () if len(of_kind) == len(held) else tuple(one.function for one in of_kind)
            return Cell(kind, None, 0, held[0].values.size, None, None, functions=some)
    bits = BITS[held[0].kind]
    size = held[0].values.size
    if grid is None:  # integers where the numerics name none
        return Cell("bits", bits, 0, size, None, None)
    other_bits = [one for one in held if BITS[one.kind] != grid.bits]
    if other_bits:
        return Cell("bits", BITS[other_bits[0].kind], 0, size, None, None, functions=_some(other_bits, held))
    wrong = [one.values != grid.integers for one in held]
    differing = int(np.count_nonzero(np.any(wrong, axis=0)))
    errors = [_scale_difference(one, grid) for one in held]
    scaled = [error for error in errors if error is not None]
    ulp, relative = (max(error[place] for error in scaled) for place in (0, 1)) if scaled else (None, None)
    figures = (grid.bits, differing, size, int(ulp) if ulp is not None else None, relative)
    if differing:
        return Cell(
            "integers", *figures, functions=_some([h for h, w in zip(held, wrong, strict=True) if w.any()], held)
        )
    if len(scaled) < len(errors) and grid.integers.any():
        return Cell("scales", grid.bits, 0, size, None, None)
    if ulp:
        rounded = all(_is_rounded(one, grid) for one in held)
        return Cell("equal_fp16" if rounded else "scales", *figures)
    return Cell("equal", *figures)


def _some(chosen: Sequence[Held], held: Sequence[Held]) -> tuple[str, ...]:
    return () if len(chosen) == len(held) else tuple(dict.fromkeys(one.function for one in chosen))


def _scale_difference(held: Held, grid: GridWeight) -> tuple[int, float] | None:
    """The largest in steps of float32 and relative, over integers that are not 0; None where the file has no scale."""
    if held.scales is None:
        return None
    used = grid.integers != 0  # any scale is right for zeros, and the quantizers do not agree on one
    given, wanted = (spread(scales, grid.integers.shape)[used] for scales in (held.scales, grid.scales))
    if not used.any():
        return 0, 0.0
    steps = np.abs(given.view(np.int32).astype(np.int64) - wanted.view(np.int32))
    return int(steps.max()), float(np.abs(given / wanted - 1).max())


def _is_rounded(held: Held, grid: GridWeight) -> bool:
    """Whether the scales are the grid's in float16."""
    assert held.scales is not None
    used = grid.integers != 0
    given, wanted = (spread(scales, grid.integers.shape)[used] for scales in (held.scales, grid.scales))
    return held.scales.dtype == np.float16 and np.array_equal(given, wanted.astype(np.float16).astype(np.float32))


def spread(scales: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 scale of each integer of a weight of `shape`: from (), (rows,) or (rows, blocks).

    Raises:
        DamagedFileError: they are as many as fit no rows and no blocks of them.
    """
    wide = scales.astype(np.float32)
    if wide.ndim == 2 and wide.shape[0] == shape[0] and shape[1] % wide.shape[1] == 0:
        wide = np.repeat(wide, shape[1] // wide.shape[1], axis=1)
    elif wide.ndim == 1 and wide.shape[0] == shape[0]:
        wide = wide.reshape(-1, *[1] * (len(shape) - 1))
    elif wide.ndim:
        raise DamagedFileError(f"scales {scales.shape} fit no weight {shape}; the file is damaged, get it anew")
    return np.ascontiguousarray(np.broadcast_to(wide, shape))


def same(first: Held, other: Held) -> bool:
    """Whether two files store the same numbers; scales are compared as float16 where one of them has them so."""
    if first.kind != other.kind or not np.array_equal(first.values, other.values):
        return False
    if first.scales is None or other.scales is None:
        return first.scales is other.scales
    used = first.values != 0
    one, two = (spread(held.scales, first.values.shape)[used] for held in (first, other) if held.scales is not None)
    if np.float16 in (first.scales.dtype, other.scales.dtype):
        return np.array_equal(one.astype(np.float16), two.astype(np.float16))
    return np.array_equal(one, two)


def words(cell: Cell) -> str:
    """What the cell of a table says."""
    where = f" in {', '.join(cell.functions)}" if cell.functions else ""
    if cell.state == "equal_fp16":
        return "equal (fp16)"
    if cell.state == "bits":
        return f"{cell.bits} bits{where}, not the grid's"
    if cell.state == "scales" and cell.scale_ulp is None:
        return "integers without scales"
    scales = f"scales differ (max {cell.scale_ulp} ulp, {cell.scale_relative:.1e} relative)" if cell.scale_ulp else ""
    if cell.state == "integers":
        return f"{cell.differing} of {cell.size} integers differ{where}" + (f", {scales}" if scales else "")
    return f"{scales or cell.state}{where}"
