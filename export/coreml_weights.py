"""A package's weights: the grid's integers put in place of the floats, read back, and counted.

coremltools' own linear_quantize_weights finds the same integers for most weights, but computes in float16 and loses
them where a scale is below 2 ** -17; and nothing says that it always will. Its palettes have no 0.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compress.numerics import weight_bits
from edgewright.compress.quantize import QuantizedModel
from edgewright.errors import ExportError
from edgewright.export.coreml_palette import palette
from edgewright.export.coreml_program import scope
from edgewright.export.coreml_sparse import as_float16, is_sparse, sparse_floats, sparse_integers
from edgewright.export.coreml_tools import Builder, np_int4_dtype, np_uint4_dtype, np_uint6_dtype
from edgewright.runtimes.mil.loading import dense, scaled_integers, stored_constants

_INDICES = {4: np_uint4_dtype, 6: np_uint6_dtype}  # of palettes, by their bits


def compressed(model: QuantizedModel, used: frozenset[str]) -> list[str]:
    """The parameters that are not stored as floats. `used`: those that the exported methods depend on."""
    matrices = [name for name, parameter in model.module.named_parameters() if parameter.ndim >= 2 and name in used]
    if model.numerics.startswith("palette_"):
        return matrices
    if model.numerics == "sparse_wfp16_afp16":
        return [name for name in matrices if is_sparse(name, model)]
    return [name for name in model.weights if name in used]


def store_weights(programs: Sequence[Any], model: QuantizedModel, names: Sequence[str], ios_18: bool) -> None:
    """Put the integers and scales of each named weight, its palette or its non-zero values in the place of its floats.

    Raises:
        ExportError: a weight is in none of the programs, or in another shape.
    """
    missing = set(names)
    for program in programs:
        function = program.functions["main"]
        constants = {op.outputs[0].name: op for op in function.operations if op.op_type == "const"}
        for name in names:
            # the float type's name may be appended
            is_this = re.compile(re.escape(f"model.{name}") + r"(_\w+)?")
            for operation in [constants[found] for found in constants if is_this.fullmatch(found)]:
                old = operation.outputs[0]
                with function, scope():
                    new = _constant(name, old.val, model, ios_18, operation)
                    function.replace_uses_of_var_after_op(
                        anchor_op=operation, old_var=old, new_var=new, no_check_var_types=True, force_replace=True
                    )
                    function.remove_ops([operation])
                missing.discard(name)
    for name in sorted(missing):
        raise ExportError(f"Core ML: the weight '{name}' is not in the converted program, so it is not compressed")


def _constant(name: str, values: np.ndarray, model: QuantizedModel, ios_18: bool, before: Any) -> Any:
    """The compressed constant for the weight `name`, whose float values are given."""
    where = {"name": stored_name(name), "before_op": before}
    if model.numerics.startswith("palette_"):
        bits = weight_bits(model.numerics)
        table, indices = palette(values, bits)
        tables = table.reshape(*[1] * values.ndim, -1, 1)  # one for the whole tensor
        return Builder.constexpr_lut_to_dense(indices=indices.astype(_INDICES[bits]), lut=tables, **where)
    if model.numerics == "sparse_wfp16_afp16":
        return sparse_floats(values, ios_18, where)
    grid = model.weights[name]
    if values.shape != grid.integers.shape:
        raise ExportError(
            f"Core ML: the weight '{name}' has shape {values.shape} in the program; its grid does not fit"
        )
    scales = grid.scales.astype(values.dtype)
    if ios_18:
        scales = scales.reshape(*scales.shape, *[1] * (values.ndim - scales.ndim))
        if is_sparse(name, model):
            return sparse_integers(grid.integers, scales, where)
        integers = grid.integers.astype(np_int4_dtype if grid.bits == 4 else np.int8)
        return Builder.constexpr_blockwise_shift_scale(data=integers, scale=scales, **where)
    zeros = np.zeros_like(scales, dtype=np.int8)
    return Builder.constexpr_affine_dequantize(
        quantized_data=grid.integers, zero_point=zeros, scale=scales, axis=np.int32(0), **where
    )


def stored_name(parameter: str) -> str:
    """The name of a weight's constant in the program: "convolution_1.weight" is "convolution_1_weight"."""
    return re.sub(r"\W", "_", parameter)


def check_weights(package: Path, model: QuantizedModel, names: Sequence[str]) -> None:
    """Compare what the package stores of the named weights, in each of its functions, with the grid.

    Sparse float16 weights are compared with the model's, zeros included. Of a palette each weight has to have the
    value that is nearest.

    Raises:
        ExportError: a weight is stored in another form, or with other integers, scales or zeros; the message names it.
    """
    found = list(stored_constants(package))
    for name in names:
        stored = [(kind, tensors) for constant, kind, tensors in found if constant == stored_name(name)]
        for kind, tensors in stored or [("const", {})]:
            if is_sparse(name, model) != kind.startswith("constexpr_sparse_"):
                form = "without its zeros" if is_sparse(name, model) else "with its zeros"
                raise ExportError(f"Core ML: the weight '{name}' is stored as {kind}, not {form}")
            if model.numerics.startswith("palette_"):
                bits = weight_bits(model.numerics)
                if kind != "constexpr_lut_to_dense" or tensors["indices"].element.bits != bits:
                    raise ExportError(f"Core ML: the weight '{name}' is stored as {kind}, not as a palette")
                far = _not_nearest(as_float16(name, model), tensors["lut"].values.ravel(), tensors["indices"].values)
                if far:
                    raise ExportError(
                        f"Core ML: {far} values of the weight '{name}' are not the nearest ones of its palette"
                    )
                continue
            if model.numerics == "sparse_wfp16_afp16":
                differing = int((dense(tensors) != as_float16(name, model)).sum())
                if differing:
                    raise ExportError(f"Core ML: {differing} values of the weight '{name}' differ from the model's")
                continue
            grid = model.weights[name]
            held = scaled_integers(kind, tensors)
            if held is None or held[0] != grid.bits:
                raise ExportError(f"Core ML: the weight '{name}' is stored as {kind}, not in {grid.bits} bits")
            differing = int((held[1] != grid.integers).sum())
            if differing:
                raise ExportError(f"Core ML: {differing} integers of the weight '{name}' differ from its grid")
            scales = tensors["scale"].values.ravel()
            if not np.array_equal(scales, grid.scales.astype(scales.dtype).ravel()):
                raise ExportError(f"Core ML: the scales of the weight '{name}' differ from its grid")


def _not_nearest(weight: np.ndarray, table: np.ndarray, indices: np.ndarray) -> int:
    """How many weights lie nearer to another value of the rising `table` than to their own."""
    wanted, values = weight.astype(np.float64), table.astype(np.float64)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, wanted)
    return int((np.abs(values[indices] - wanted) > np.abs(values[nearest] - wanted)).sum())


def weight_bytes(package: Path) -> dict[str, int]:
    """Bytes of constants by stored type; scales and tables count as the floats that they are, masks as "mask".

    What several functions share lies in the package once and is counted once.
    """
    total: Counter[str] = Counter()
    seen = set()
    for _, kind, tensors in stored_constants(package):
        for part, tensor in tensors.items():
            is_weight = np.issubdtype(tensor.element.numpy, np.floating) or (kind != "const" and part != "shape")
            if not is_weight or not tensor.values.ndim or tensor.offset in seen:
                continue
            if tensor.offset is not None:
                seen.add(tensor.offset)
            total["mask" if part in ("mask", "data_mask") else tensor.element.name] += tensor.size_bytes
    return dict(total)
