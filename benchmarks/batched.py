"""An artifact of a bundle made for several rows a call, to measure what a server gains by it.

LiteRT and ExecuTorch have fixed shapes, so the bundle's reference checkpoint is exported again with the artifact's
numerics. An ONNX graph takes any number of rows as it is.

What a row answers does not always stay the same: see `batched_artifact`.
"""

from pathlib import Path
from typing import cast

import edgewright
from edgewright.compress.numerics import SUPPORT, Numerics, Target
from edgewright.compress.quantize import precision_in, quantize
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.checkpoint import load_model
from edgewright.models.methods import Method, Tensor
from edgewright.runtimes.bundle import Bundle, BundleArtifact

FREE_BATCH = ("onnx",)
ONE_ROW = ("coreml",)


def batched_artifact(bundle: Bundle, artifact: BundleArtifact, batch: int, length: int, folder: Path) -> Path | None:
    """A file that takes `batch` rows of `length` tokens a call; for ONNX the artifact itself.

    In fp32 and fp16 a row's logits are those of the batch-1 file. In dynamic numerics LiteRT and ExecuTorch choose the
    range of the activations for each row, so they are too; ONNX Runtime chooses one range for the whole tensor, so a
    row's logits depend a little on the other rows of the call.

    Returns:
        None where there is no such file: Core ML files take one row, static numerics would need the calibration texts,
        and the bundle may hold no reference checkpoint.

    Raises:
        ExportError: the converter refused.
        DamagedFileError: the reference checkpoint is not the one that the manifest names.
        MissingExtraError: the target's converter is not installed.
    """
    if batch < 1 or length < 1:
        raise ValueError(f"batch is {batch} and length {length}; both must be at least 1")
    if artifact.target in FREE_BATCH:
        return artifact.path
    numerics, target = cast(Numerics, artifact.numerics), cast(Target, artifact.target)
    if target in ONE_ROW or numerics.startswith("static") or not SUPPORT[numerics, target].supported:
        return None
    reference = bundle.reference()
    if reference is None:
        return None
    path = folder / f"{target}-{numerics}-{batch}x{length}{SUFFIX[target]}"
    method = _method(bundle, batch, length)
    quantized = quantize(load_model(reference), numerics, precision_in(bundle.manifest))
    export(target, quantized, [method], path, [], _metadata(bundle))
    return path


def _method(bundle: Bundle, batch: int, length: int) -> Method:
    """The bundle's "forward" with these fixed sizes."""
    forward = next(method for method in bundle.manifest["methods"] if method["name"] == "forward")
    inputs, outputs = (
        tuple(Tensor(tensor["name"], tensor["dtype"], tuple(tensor["shape"])) for tensor in forward[kind])
        for kind in ("inputs", "outputs")
    )
    return Method("forward", inputs, outputs, (length,), batch=batch)


def _metadata(bundle: Bundle) -> Metadata:
    return Metadata(
        name=bundle.name,
        description=bundle.manifest["description"],
        labels=bundle.labels,
        license=bundle.manifest["data"]["licence"],
        version=edgewright.__version__,
    )
