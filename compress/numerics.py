"""How weights and activations are stored, and which target can do it: the one table of the project.

The names are ai-edge-quantizer's: `wi8` = weights int8, `afp32` = activations float32, `ai8` = activations int8.
`edgewright doctor` prints the table; a cell that it excludes is reported as `unsupported` with its reason.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Target = Literal["executorch", "litert", "coreml", "onnx"]
Numerics = Literal[
    "fp32",
    "fp16",
    "dynamic_wi8_afp32",
    "static_wi8_ai8",
    "weight_only_wi8_afp16",
    "palette_w4_afp16",
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
    ("palette_w4_afp16", "executorch"): _no(_CORE_ML_ONLY),
    ("palette_w4_afp16", "litert"): _no(_CORE_ML_ONLY),
    ("palette_w4_afp16", "coreml"): _yes("iOS 18"),
    ("palette_w4_afp16", "onnx"): _no(_CORE_ML_ONLY),
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


def weight_bits(numerics: Numerics) -> int:
    """Bits of a stored weight: 32, 16, 8 or 4."""
    return {"fp32": 32, "fp16": 16}.get(numerics) or (8 if "wi8" in numerics else 4)
