"""How weights and activations are stored, and which target can do it: the one table of the project.

The names are ai-edge-quantizer's: `wi8` = weights int8, `afp32` = activations float32, `ai8` = activations int8. In
the same manner `palette_w6` stores for each weight the number of its value among 64, `sparse_wfp16` and `sparse_wi8`
store the weights that are not 0, as float16 or int8, and a bit for each weight that says which those are.
`edgewright doctor` prints the table; a cell that it excludes is reported as `unsupported` with its reason.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Target = Literal["executorch", "litert", "coreml", "onnx"]
Numerics = Literal[
    "fp32",
    "fp16",
    "dynamic_wi8_afp32",
    "static_wi8_ai8",
    "weight_only_wi8_afp16",
    "palette_w6_afp16",
    "palette_w4_afp16",
    "sparse_wfp16_afp16",
    "sparse_wi8_afp16",
    "weight_only_wi4_afp16",
    "dynamic_wi4_afp32",
]
TARGETS: tuple[Target, ...] = get_args(Target)
NUMERICS: tuple[Numerics, ...] = get_args(Numerics)


@dataclass(frozen=True)
class Support:
    supported: bool
    note: str  # why not, or what to know


def _yes(note: str = "") -> Support:
    return Support(True, note)


def _no(reason: str) -> Support:
    return Support(False, reason)


_NEEDS_MAC = "coremltools calibrates activations with predict, which only runs on a Mac"
_CORE_ML_ONLY = "a form of Core ML's own"
_ZEROS_ARE_STORED = "zeros are stored like any other number there; Core ML alone leaves them out"

SUPPORT: dict[tuple[Numerics, Target], Support] = {
    ("fp32", "executorch"): _yes(),
    ("fp32", "litert"): _yes(),
    ("fp32", "coreml"): _yes(),
    ("fp32", "onnx"): _yes(),
    ("fp16", "executorch"): _no("XNNPACK through the Python wheel was not shown to run fp16 graphs"),
    ("fp16", "litert"): _yes("half the size; the CPU computes in fp32, so it is no faster"),
    ("fp16", "coreml"): _yes("Core ML's native form"),
    ("fp16", "onnx"): _no("ONNX Runtime's CPU kernels have no fp16; casts would make it slower"),
    ("dynamic_wi8_afp32", "executorch"): _yes("convolutions are lowered as linear layers over their taps"),
    ("dynamic_wi8_afp32", "litert"): _yes(),
    ("dynamic_wi8_afp32", "coreml"): _no(_NEEDS_MAC),
    ("dynamic_wi8_afp32", "onnx"): _yes(),
    ("static_wi8_ai8", "executorch"): _yes("float inputs and outputs"),
    ("static_wi8_ai8", "litert"): _yes("float inputs and outputs; minimum/maximum calibration"),
    ("static_wi8_ai8", "coreml"): _no(_NEEDS_MAC),
    ("static_wi8_ai8", "onnx"): _yes("float inputs and outputs"),
    ("weight_only_wi8_afp16", "executorch"): _no("XNNPACK's weight-only lowering is silently wrong upstream (1.5.1)"),
    ("weight_only_wi8_afp16", "litert"): _no("dynamic_wi8_afp32 has the same size and is faster"),
    ("weight_only_wi8_afp16", "coreml"): _yes(),
    ("weight_only_wi8_afp16", "onnx"): _no("dynamic_wi8_afp32 has the same size and is faster"),
    ("palette_w6_afp16", "executorch"): _no(_CORE_ML_ONLY),
    ("palette_w6_afp16", "litert"): _no(_CORE_ML_ONLY),
    ("palette_w6_afp16", "coreml"): _yes("iOS 18"),
    ("palette_w6_afp16", "onnx"): _no(_CORE_ML_ONLY),
    ("palette_w4_afp16", "executorch"): _no(_CORE_ML_ONLY),
    ("palette_w4_afp16", "litert"): _no(_CORE_ML_ONLY),
    ("palette_w4_afp16", "coreml"): _yes("iOS 18"),
    ("palette_w4_afp16", "onnx"): _no(_CORE_ML_ONLY),
    ("sparse_wfp16_afp16", "executorch"): _no(_ZEROS_ARE_STORED),
    ("sparse_wfp16_afp16", "litert"): _no(_ZEROS_ARE_STORED),
    ("sparse_wfp16_afp16", "coreml"): _yes("for [prune] sparsity: a zero takes one bit"),
    ("sparse_wfp16_afp16", "onnx"): _no(_ZEROS_ARE_STORED),
    ("sparse_wi8_afp16", "executorch"): _no(_ZEROS_ARE_STORED),
    ("sparse_wi8_afp16", "litert"): _no(_ZEROS_ARE_STORED),
    ("sparse_wi8_afp16", "coreml"): _yes("iOS 18; for [prune] sparsity: a zero takes one bit"),
    ("sparse_wi8_afp16", "onnx"): _no(_ZEROS_ARE_STORED),
    ("weight_only_wi4_afp16", "executorch"): _no("XNNPACK's weight-only lowering is silently wrong upstream (1.5.1)"),
    ("weight_only_wi4_afp16", "litert"): _no("weights are unpacked at every call: 2 to 15 times slower"),
    ("weight_only_wi4_afp16", "coreml"): _yes("iOS 18; blocks of 32"),
    ("weight_only_wi4_afp16", "onnx"): _no(_CORE_ML_ONLY),
    ("dynamic_wi4_afp32", "executorch"): _yes("8da4w linear layers in blocks of 32; convolutions are int8"),
    ("dynamic_wi4_afp32", "litert"): _yes("linear layers in blocks of 32; convolutions are int8"),
    ("dynamic_wi4_afp32", "coreml"): _no(_NEEDS_MAC),
    ("dynamic_wi4_afp32", "onnx"): _yes(
        "MatMulNBits, an ONNX Runtime operator, in blocks of 32; convolutions are int8"
    ),
}

# What a recipe means by "int8" for each target.
INT8: dict[Target, Numerics] = {
    "executorch": "dynamic_wi8_afp32",
    "litert": "dynamic_wi8_afp32",
    "coreml": "weight_only_wi8_afp16",
    "onnx": "dynamic_wi8_afp32",
}

# The sparse numerics, and what stores the same numbers with their zeros.
DENSE: dict[Numerics, Numerics] = {
    "sparse_wfp16_afp16": "fp16",
    "sparse_wi8_afp16": "weight_only_wi8_afp16",
}


def weight_bits(numerics: Numerics) -> int:
    """Bits of a stored weight: 32, 16, 8, 6 or 4; of a sparse one those of a value that is not 0."""
    named = re.search(r"_w[a-z]*(\d+)_", numerics)
    return int(named[1]) if named else {"fp32": 32, "fp16": 16}[numerics]
