"""Core ML packages (.mlpackage): an ML Program for iOS 17, or for iOS 18 where it needs that.

Route: torch.jit.trace, coremltools to a MIL program a method (coreml_program.py, with coreml_lstm.py for recurrent
layers), the grid's integers put in place of the float weights (coreml_weights.py), the package (coreml_package.py),
then the interpreter of `runtimes/mil` reads everything back. See docs/decisions/0005-coreml-without-a-mac.md.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgewright.compress.numerics import SUPPORT, Numerics
from edgewright.compress.quantize import QuantizedModel
from edgewright.data.files import write_atomically
from edgewright.errors import ExportError
from edgewright.export import artifact
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.coreml_package import copy_repeatably, together, write_package
from edgewright.export.coreml_program import converting, ios_target, program
from edgewright.export.coreml_sparse import storage
from edgewright.export.coreml_weights import check_weights, compressed, store_weights, weight_bytes
from edgewright.export.tracing import example_inputs, quick_tracing, used_parameters
from edgewright.models.methods import Method
from edgewright.runtimes import coreml as runtime

SUFFIX = runtime.SUFFIX
_IOS_18: tuple[Numerics, ...] = ("palette_w6_afp16", "palette_w4_afp16", "sparse_wi8_afp16", "weight_only_wi4_afp16")
# Largest difference of an output between the package and the module, relative to the largest one. Beyond it the
# conversion changed the meaning. A palette changes the weights themselves, so that only its shape is checked.
_TOLERANCE: dict[Numerics, float] = {
    "fp32": 1e-4,
    "fp16": 2e-2,
    "weight_only_wi8_afp16": 2e-2,
    "weight_only_wi4_afp16": 2e-2,
    "sparse_wfp16_afp16": 2e-2,
    "sparse_wi8_afp16": 2e-2,
}


@quick_tracing()
def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `model` as a package and read it back; the same model gives the same bytes.

    A classifier (one output of one logit a label) answers `label`, `label_probs` and the logits under their name.
    Several methods are a package of several functions under their names (iOS 18), the first one the default; weights
    that they share are stored once. The lengths of a method are enumerated shapes of its function.
    Core ML decides on the device which unit runs which operator, so that `delegated` holds the operators of the
    program with their counts, `left_over` is empty, and neither says anything about placement.
    calibration is not used: Core ML's activations stay float here.

    Raises:
        ExportError: an operator has no conversion (named, with its layer), a weight is not stored as the grid says
            (named), or the package computes something else than the module.
    """
    return write_checked(model, methods, path, metadata, keeps_state=False)


def write_checked(
    model: QuantizedModel, methods: Sequence[Method], path: Path, metadata: Metadata, keeps_state: bool
) -> Artifact:
    """See `export`; keeps_state: the methods' state is kept by the package, not handed in and out (iOS 18)."""
    assert SUPPORT[model.numerics, "coreml"].supported, model.numerics
    is_classifier = len(methods) == 1 and _is_classifier(methods[0], metadata)
    names = compressed(model, used_parameters(model.module, methods))
    ios_18 = model.numerics in _IOS_18 or len(methods) > 1 or keeps_state
    target = ios_target(18 if ios_18 else 17)

    def write(scratch: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            converted = Path(folder, "model.mlpackage")
            with converting():
                programs = [
                    program(
                        model.module, m, model.numerics, target, is_classifier, dict(m.state) if keeps_state else {}
                    )
                    for m in methods
                ]
                store_weights(programs, model, names, ios_18)
                labels = metadata.labels if is_classifier else None
                write_package(together(programs, methods), target, labels, converted)
            copy_repeatably(converted, scratch, methods, metadata)
        check_weights(scratch, model, names)
        for method in methods:
            _check_answers(scratch, model, method, keeps_state)

    write_atomically(path, write)
    return artifact.describe("coreml", model.numerics, path, operators(path), {}, weight_bytes(path), storage(path))


def _is_classifier(method: Method, metadata: Metadata) -> bool:
    return len(method.outputs) == 1 and method.outputs[0].shape == ("batch", len(metadata.labels))


def _check_answers(package: Path, model: QuantizedModel, method: Method, keeps_state: bool) -> None:
    """Run the package and the module on inputs of each length; a package with state starts from zeros."""
    runner = runtime.load(package)
    kept = dict(method.state) if keeps_state else {}
    for _, length in method.functions():
        inputs = _trial_inputs(model.module, method, length, zeros=kept.keys())
        with torch.no_grad():
            outputs = getattr(model.module, method.name)(*inputs.values())
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        wanted = {t.name: o.numpy() for t, o in zip(method.outputs, outputs, strict=True)}
        given = runner.run(*(v.numpy() for n, v in inputs.items() if n not in kept), method=method.name)
        where = f"{method.name}" + ("" if length is None else f" at length {length}")
        for name, got in zip([n for n in wanted if n not in kept.values()], given, strict=True):
            _compare(f"'{name}' of {where}", got, wanted[name], _TOLERANCE.get(model.numerics, np.inf))


def _trial_inputs(
    module: nn.Module, method: Method, length: int | None, zeros: Collection[str]
) -> dict[str, torch.Tensor]:
    """Inputs by name: real ids of every row with padding at the end, random floats, zeros where they are asked."""
    rows = min((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), default=2)
    inputs = example_inputs(method, length, batch=1)
    for tensor in method.inputs:
        value = inputs[tensor.name]
        if tensor.name in zeros:
            inputs[tensor.name] = torch.zeros_like(value)
        elif value.is_floating_point():
            inputs[tensor.name] = torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
        elif "length" in tensor.shape:
            ids = torch.arange(value.numel(), dtype=value.dtype).reshape(value.shape) % (rows - 1) + 1
            ids[:, max(1, ids.shape[1] - 1) :] = 0
            inputs[tensor.name] = ids
    return inputs


def _compare(what: str, got: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    if got.shape != wanted.shape or not np.isfinite(got).all():
        raise ExportError(f"Core ML: {what} comes as {got.shape} or with values that are not finite")
    error = float(np.abs(got - wanted).max() / max(1e-6, float(np.abs(wanted).max())))
    if error > tolerance:
        raise ExportError(
            f"Core ML: {what} differs from the module by {error:.1g} of the largest value; "
            "an operator was converted with another meaning"
        )


def operators(package: Path) -> dict[str, int]:
    """The operators that predictions run, by their MIL name, with their counts in all functions together."""
    programs = runtime.load(package).programs.values()
    return dict(Counter(step.type for program in programs for step in program.steps()))
