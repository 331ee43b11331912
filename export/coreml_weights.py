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

from edgewright.compress.quantize import QuantizedModel
from edgewright.errors import ExportError
from edgewright.export.coreml_palette import palette
from edgewright.export.coreml_program import scope
from edgewright.export.coreml_tools import Builder, np_int4_dtype, np_uint4_dtype
from edgewright.runtimes.mil.loading import stored_constants

_PALETTE_BITS = 4


def compressed(model: QuantizedModel, used: frozenset[str]) -> list[str]:
    """The parameters that are not stored as floats. `used`: those that the exported methods depend on."""
    if model.numerics == "palette_w4_afp16":
        return [name for name, parameter in model.module.named_parameters() if parameter.ndim >= 2 and name in used]
    return [name for name in model.weights if name in used]


def store_weights(programs: Sequence[Any], model: QuantizedModel, names: Sequence[str], ios_18: bool) -> None:
    """Put the integers and scales of each named weight, or its palette, in the place of its float values.

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
    if model.numerics == "palette_w4_afp16":
        table, indices = palette(values, _PALETTE_BITS)
        tables = table.reshape(*[1] * values.ndim, -1, 1)  # one for the whole tensor
        return Builder.constexpr_lut_to_dense(indices=indices.astype(np_uint4_dtype), lut=tables, **where)
    grid = model.weights[name]
    if values.shape != grid.integers.shape:
        raise ExportError(
            f"Core ML: the weight '{name}' has shape {values.shape} in the program; its grid does not fit"
        )
    scales = grid.scales.astype(values.dtype)
    if ios_18:
        scales = scales.reshape(*scales.shape, *[1] * (values.ndim - scales.ndim))
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

    Raises:
        ExportError: a weight is stored as float, or with other integers or scales; the message names it.
    """
    found = list(stored_constants(package))
    for name in names:
        stored = [(kind, tensors) for constant, kind, tensors in found if constant == stored_name(name)]
        for kind, tensors in stored or [("const", {})]:
            if model.numerics == "palette_w4_afp16":
                if kind != "constexpr_lut_to_dense" or tensors["indices"].element.bits != _PALETTE_BITS:
                    raise ExportError(f"Core ML: the weight '{name}' is stored as {kind}, not as a palette")
                continue
            grid = model.weights[name]
            integers = tensors.get("quantized_data") or tensors.get("data")
            if integers is None or integers.element.bits != grid.bits:
                raise ExportError(f"Core ML: the weight '{name}' is stored as {kind}, not in {grid.bits} bits")
            differing = int((integers.values != grid.integers).sum())
            if differing:
                raise ExportError(f"Core ML: {differing} integers of the weight '{name}' differ from its grid")
            scales = tensors["scale"].values.ravel()
            if not np.array_equal(scales, grid.scales.astype(scales.dtype).ravel()):
                raise ExportError(f"Core ML: the scales of the weight '{name}' differ from its grid")


def weight_bytes(package: Path) -> dict[str, int]:
    """Bytes of constants by stored type; scales and tables count as the floats that they are.

    What several functions share lies in the package once and is counted once.
    """
    total: Counter[str] = Counter()
    seen = set()
    for _, kind, tensors in stored_constants(package):
        for tensor in tensors.values():
            is_weight = np.issubdtype(tensor.element.numpy, np.floating) or kind != "const"
            if not is_weight or not tensor.values.ndim or tensor.offset in seen:
                continue
            if tensor.offset is not None:
                seen.add(tensor.offset)
            total[tensor.element.name] += tensor.size_bytes
    return dict(total)
