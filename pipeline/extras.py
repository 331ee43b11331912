"""Which optional libraries are here: asked before any work is done, and by `edgewright doctor`."""

from collections.abc import Iterable
from importlib.util import find_spec

from edgewright.compress.numerics import Target
from edgewright.errors import MissingExtraError

MODULES: dict[Target, tuple[str, ...]] = {
    "executorch": ("executorch", "torchao"),
    "litert": ("litert_torch", "ai_edge_quantizer", "ai_edge_litert"),
    "coreml": ("coremltools",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}


def missing(target: Target) -> list[str]:
    """The modules of a target's extra that are not installed."""
    return [module for module in MODULES[target] if find_spec(module) is None]


def require_extras(targets: Iterable[Target]) -> None:
    """Raise a MissingExtraError with the install command when a target cannot be made here."""
    lacking = sorted(target for target in targets if missing(target))
    if lacking:
        modules = ", ".join(module for target in lacking for module in missing(target))
        raise MissingExtraError(
            f"the targets {', '.join(lacking)} need {modules}: pip install 'edgewright[{','.join(lacking)}]'"
        )
