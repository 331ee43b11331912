"""Reads the weights of a .pte file, which has no names for them.

In each function every tensor of integers belongs to a parameter of its size: to one with the same integers, and what
is left over to those that it differs from in the fewest integers, each parameter once before any gets a second one.
So a changed weight is found as what it was, and a copy with other integers is not passed over.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from edgewright.compress.quantize import QuantizedModel
from edgewright.export import executorch_weights
from edgewright.export.convolutions import as_stored
from edgewright.export.executorch_weights import StoredWeight
from edgewright.export.stored import BITS, Contents, Held, fewest_axes, from_taps, shape_of


def read(path: Path, model: QuantizedModel, names: Collection[str]) -> Contents:
    stored = executorch_weights.read(path).weights
    functions = list(dict.fromkeys(weight.function for weight in stored))
    weights: dict[str, list[Held]] = {name: [] for name in names}
    for function in functions:
        tensors = _distinct([weight for weight in stored if weight.function == function])
        integers = [tensor for tensor in tensors if tensor.type in BITS]
        for name, tensor in _owners(integers, model, [name for name in names if name in model.weights]):
            scales = None if tensor.scales is None else fewest_axes(tensor.scales)
            values = from_taps(tensor.values, shape_of(model, name))
            weights[name].append(Held(function, "int4" if tensor.type == "int4" else "int8", values, scales))
        floats = [tensor for tensor in tensors if tensor.type == "float32"]
        for name in names:
            wanted = model.module.get_parameter(name).detach().numpy()
            for tensor in floats:
                if tensor.values.size == wanted.size:
                    values = from_taps(tensor.values, wanted.shape)
                    if np.array_equal(values, wanted):
                        weights[name].append(Held(function, "float32", values))
    return Contents(tuple(functions), weights)


def _distinct(tensors: Sequence[StoredWeight]) -> list[StoredWeight]:
    """Each content once: the recurrent weights of an LSTM are there for each position."""
    found: dict[tuple[object, ...], StoredWeight] = {}
    for tensor in tensors:
        scales = b"" if tensor.scales is None else tensor.scales.tobytes()
        found.setdefault((tensor.type, tensor.values.shape, tensor.values.tobytes(), scales), tensor)
    return list(found.values())


def _owners(
    tensors: Sequence[StoredWeight], model: QuantizedModel, names: Sequence[str]
) -> list[tuple[str, StoredWeight]]:
    """The parameter that each tensor stores; tensors of no parameter's size are left out."""
    wanted = {name: as_stored(model.weights[name].integers).reshape(-1) for name in names}
    owners: list[tuple[str, StoredWeight]] = []
    for size in sorted({integers.size for integers in wanted.values()}):
        alike = [tensor for tensor in tensors if tensor.values.size == size]
        of_size = [name for name in names if wanted[name].size == size]
        if not alike:
            continue
        differences = np.array(
            [[_difference(tensor, model, name, wanted[name]) for name in of_size] for tensor in alike]
        )
        rows, columns = linear_sum_assignment(differences)
        taken = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        for place, tensor in enumerate(alike):
            owners.append((of_size[taken.get(place, int(differences[place].argmin()))], tensor))
    return owners


def _difference(tensor: StoredWeight, model: QuantizedModel, name: str, wanted: np.ndarray) -> float:
    """How many integers differ; a little more where the scales or the bits do, to tell parameters of zeros apart."""
    grid = model.weights[name]
    differing = float(np.count_nonzero(tensor.values.reshape(-1) != wanted))
    same_scales = tensor.scales is not None and np.array_equal(tensor.scales.reshape(-1), grid.scales.reshape(-1))
    return differing + (0.0 if same_scales else 0.25) + (0.0 if tensor.type == f"int{grid.bits}" else 0.25)
