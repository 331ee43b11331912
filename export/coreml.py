"""Core ML packages (.mlpackage): an ML Program for iOS 17, or for iOS 18 where weights are stored in 4 bits.

Route: torch.jit.trace, coremltools to a MIL program, the grid's integers put in place of the float weights, the
package, then the interpreter of `runtimes/mil` reads everything back. Tracing is used although torch calls it old:
through torch.export coremltools 9.0 drops keyword arguments without a word (`gelu(approximate="tanh")` becomes exact,
an attention mask is inverted); traced, both are right. See docs/decisions/0005-coreml-without-a-mac.md.
"""

import contextlib
import io
import json
import logging
import re
import tempfile
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from edgewright.compress.numerics import SUPPORT, Numerics
from edgewright.compress.quantize import GridWeight, QuantizedModel
from edgewright.data.files import write_atomically, write_bytes, write_text
from edgewright.errors import ExportError
from edgewright.export import artifact
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.coreml_palette import palette
from edgewright.models.methods import Method
from edgewright.runtimes import coreml as runtime
from edgewright.runtimes.mil.loading import MODEL_FOLDER, read_model, stored_constants
from edgewright.runtimes.mil.weights import Stored

_LOGGER = logging.getLogger("coremltools")


@contextlib.contextmanager
def _quiet_import() -> Iterator[None]:
    """coremltools and torchao, which it imports, log a dozen lines on every machine that is not a Mac with CUDA."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


with _quiet_import():
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil.scope import ScopeInfo, ScopeSource
    from coremltools.converters.mil.mil.types import np_int4_dtype, np_uint4_dtype

SUFFIX = runtime.SUFFIX
LABEL = "label"  # the classifier's string output; its probabilities are "label_probs"
_IOS_18: tuple[Numerics, ...] = ("palette_w4_afp16", "weight_only_wi4_afp16")
# Largest difference of logits between the package and the module, relative to the largest logit. Beyond it the
# conversion changed the meaning. A palette changes the weights themselves, so that only its shape is checked.
_TOLERANCE: dict[Numerics, float] = {
    "fp32": 1e-4,
    "fp16": 2e-2,
    "weight_only_wi8_afp16": 2e-2,
    "weight_only_wi4_afp16": 2e-2,
}
_PALETTE_BITS = 4
# Where a package keeps its parts, as coremltools writes it.
_PARTS = (
    ("com.apple.CoreML/model.mlmodel", "model.mlmodel", "CoreML Model Specification"),
    ("com.apple.CoreML/weights", "weights", "CoreML Model Weights"),
)


class _Traced(nn.Module):
    """One method of the model; of a classifier the probabilities come first, as Core ML labels by them."""

    def __init__(self, model: nn.Module, method: str, is_classifier: bool) -> None:
        super().__init__()
        self.model = model
        self.method = method
        self.is_classifier = is_classifier

    def forward(self, *inputs: Tensor) -> Any:
        outputs = getattr(self.model, self.method)(*inputs)
        return (torch.softmax(outputs, dim=-1), outputs) if self.is_classifier else outputs


def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `model` as a package and read it back; the same model gives the same bytes.

    A classifier (one output of one logit a label) answers `label`, `label_probs` and the logits under their name.
    Core ML decides on the device which unit runs which operator, so that `delegated` holds the operators of the
    program with their counts, `left_over` is empty, and neither says anything about placement.
    calibration is not used: Core ML's activations stay float here.

    Raises:
        ExportError: an operator has no conversion (named, with its layer), a weight is not stored as the grid says
            (named), or the package computes something else than the module.
    """
    assert SUPPORT[model.numerics, "coreml"].supported, model.numerics
    assert len(methods) == 1, "several methods are a multifunction package, which Core ML does not allow a classifier"
    method = methods[0]
    is_classifier = _is_classifier(method, metadata)

    def write(scratch: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            converted = Path(folder, "model.mlpackage")
            with _converting():
                program = _program(model, method, is_classifier)
                _store_weights(program, model)
                _name_outputs(program, method, is_classifier)
                _write_package(program, model.numerics, metadata.labels if is_classifier else None, converted)
            _copy_repeatably(converted, scratch, method, metadata)
        check_weights(scratch, model)
        _check_answers(scratch, model, method)

    write_atomically(path, write)
    return artifact.describe("coreml", model.numerics, path, operators(path), {}, weight_bytes(path))


def _is_classifier(method: Method, metadata: Metadata) -> bool:
    return len(method.outputs) == 1 and method.outputs[0].shape == ("batch", len(metadata.labels))


@contextlib.contextmanager
def _converting() -> Iterator[None]:
    """Keeps the converter's progress bars and remarks away from the user, and turns its failures into ExportError."""
    remarks: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            remarks.append(record.getMessage())

    listener, propagate = Listener(), _LOGGER.propagate
    _LOGGER.addHandler(listener)
    _LOGGER.propagate = False
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch.jit.trace, on purpose
            warnings.filterwarnings("ignore", category=TracerWarning)  # the answers are checked afterwards
            warnings.filterwarnings("ignore", category=UserWarning, module="coremltools")  # renamed outputs
            # a bound of clip that float16 cannot hold becomes infinite, as it should
            warnings.filterwarnings("ignore", category=RuntimeWarning, module="coremltools")
            yield
    except (ExportError, OSError):
        raise
    except Exception as error:  # coremltools raises whatever its converters stumble over
        where = re.search(r"converting '(.+?)' op \(located at: '(.*?)'\)", "\n".join(remarks))
        place = f"operator '{where[1]}' in layer '{where[2].removeprefix('model/')}': " if where else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(f"Core ML: {place}{reason[:300]}") from error
    finally:
        _LOGGER.removeHandler(listener)
        _LOGGER.propagate = propagate


def _target(numerics: Numerics) -> Any:
    return coremltools.target.iOS18 if numerics in _IOS_18 else coremltools.target.iOS17


def _program(model: QuantizedModel, method: Method, is_classifier: bool) -> Any:
    """The MIL program with float weights."""
    traced = _Traced(model.module, method.name, is_classifier).eval()
    examples = model.module.example_inputs(method.lengths[0])  # type: ignore[operator]  # each family has it
    with torch.no_grad():
        script = torch.jit.trace(traced, examples, check_trace=False)  # type: ignore[no-untyped-call]
    return coremltools.convert(
        script,
        convert_to="milinternal",
        minimum_deployment_target=_target(model.numerics),
        compute_precision=_precision(model.numerics),
        inputs=_input_types(method),
    )


def _precision(numerics: Numerics) -> Any:
    return coremltools.precision.FLOAT32 if numerics == "fp32" else coremltools.precision.FLOAT16


def _input_types(method: Method) -> list[Any]:
    """int32 or float32 inputs, of each length of the method where they have one."""
    types = []
    for tensor in method.inputs:
        shapes = [_shape(tensor.shape, length) for length in sorted(method.lengths)]
        flexible = "length" in tensor.shape and len(shapes) > 1
        shape = coremltools.EnumeratedShapes(shapes, default=shapes[0]) if flexible else shapes[0]
        types.append(coremltools.TensorType(tensor.name, shape, dtype=np.dtype(tensor.dtype).type))
    return types


def _shape(shape: tuple[int | str, ...], length: int) -> tuple[int, ...]:
    sizes = {"batch": 1, "length": length}
    return tuple(sizes[s] if isinstance(s, str) else s for s in shape)


def _scope() -> Any:
    """What coremltools wants to know of each operator: the layers that it comes from."""
    return Builder.scope(
        ScopeInfo(ScopeSource.TORCHSCRIPT_MODULE_NAME, ["edgewright"]),
        ScopeInfo(ScopeSource.TORCHSCRIPT_MODULE_TYPE, ["edgewright"]),
    )


def _store_weights(program: Any, model: QuantizedModel) -> None:
    """Put each weight's integers and scales, or its palette, in the place of its float values.

    coremltools' own linear_quantize_weights finds the same integers for most weights, but computes in float16 and
    loses them where a scale is below 2 ** -17; and nothing says that it always will. Its palettes have no 0.
    """
    function = program.functions["main"]
    constants = [op for op in function.operations if op.op_type == "const"]
    for name in _compressed(model):
        # the float type's name may be appended
        found = [op for op in constants if re.fullmatch(re.escape(f"model.{name}") + r"(_\w+)?", op.outputs[0].name)]
        if not found:
            raise ExportError(f"Core ML: the weight '{name}' is not in the converted program, so it is not compressed")
        for operation in found:
            old = operation.outputs[0]
            with function, _scope():
                new = _constant(name, old.val, model, operation)
                function.replace_uses_of_var_after_op(
                    anchor_op=operation, old_var=old, new_var=new, no_check_var_types=True, force_replace=True
                )
                function.remove_ops([operation])


def _compressed(model: QuantizedModel) -> list[str]:
    """The parameters that are not stored as floats."""
    if model.numerics == "palette_w4_afp16":
        return [name for name, parameter in model.module.named_parameters() if parameter.ndim >= 2]
    return list(model.weights)


def _constant(name: str, values: np.ndarray, model: QuantizedModel, before: Any) -> Any:
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
    if model.numerics in _IOS_18:
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


def _name_outputs(program: Any, method: Method, is_classifier: bool) -> None:
    """Outputs under their names and in float32, which iOS 17 would otherwise give as float16."""
    function = program.functions["main"]
    names = ["probabilities"] * is_classifier + [t.name for t in method.outputs]
    with function, _scope():
        function.set_outputs(
            [
                Builder.cast(x=output, dtype="fp32", name=name) if "float" in str(output.dtype) else output
                for output, name in zip(function.outputs, names, strict=True)
            ]
        )
    function.output_types = None  # the types that the float16 pass noted for the outputs of before


def _write_package(program: Any, numerics: Numerics, labels: tuple[str, ...] | None, package: Path) -> None:
    classifier = None
    if labels is not None:
        classifier = coremltools.ClassifierConfig(
            list(labels), predicted_feature_name=LABEL, predicted_probabilities_output="probabilities"
        )
    coremltools.convert(
        program,
        source="milinternal",
        convert_to="mlprogram",
        minimum_deployment_target=_target(numerics),
        pass_pipeline=coremltools.PassPipeline.EMPTY,  # everything was done on the way to the program
        compute_precision=coremltools.precision.FLOAT32,
        classifier_config=classifier,
        skip_model_load=True,
        package_dir=str(package),
    )


def _copy_repeatably(converted: Path, package: Path, method: Method, metadata: Metadata) -> None:
    """`converted` as `package`, with its metadata, without dates and random identifiers."""
    model = read_model(converted)
    described = model.description
    described.metadata.author = metadata.author
    described.metadata.license = metadata.license
    described.metadata.versionString = metadata.version
    described.metadata.shortDescription = metadata.description
    properties = described.metadata.userDefined
    for key in [k for k in properties if k.endswith(".conversion_date")]:
        del properties[key]
    for key, value in {"name": metadata.name, **metadata.extra}.items():
        properties[key] = value
    for feature, tensor in zip(described.input, method.inputs, strict=True):
        lengths = " or ".join(str(n) for n in sorted(method.lengths))
        feature.shortDescription = f"{tensor.dtype} {_text(tensor.shape)}, length {lengths}, padded with 0"
    meaning = {t.name: f"{t.dtype} {_text(t.shape)}, before softmax" for t in method.outputs}
    meaning |= {LABEL: "the most probable label", f"{LABEL}_probs": "the probability of each label"}
    for feature in described.output:
        feature.shortDescription = meaning[feature.name]
    write_bytes(package / MODEL_FOLDER / "model.mlmodel", model.SerializeToString(deterministic=True))
    weights = Path("weights", "weight.bin")
    write_bytes(package / MODEL_FOLDER / weights, (converted / MODEL_FOLDER / weights).read_bytes())
    write_text(package / "Manifest.json", json.dumps(_manifest(), indent=4) + "\n")


def _text(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ")"


def _manifest() -> dict[str, Any]:
    """As coremltools writes it, with identifiers made from the parts' paths."""
    entries = {
        str(uuid.uuid5(uuid.NAMESPACE_URL, path)).upper(): {
            "author": "com.apple.CoreML",
            "description": description,
            "name": name,
            "path": path,
        }
        for path, name, description in _PARTS
    }
    return {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": next(iter(entries)),
    }


def check_weights(package: Path, model: QuantizedModel) -> None:
    """Compare what the package stores with the grid.

    Raises:
        ExportError: a weight is stored as float, or with other integers or scales; the message names it.
    """
    stored = {name: (kind, tensors) for name, kind, tensors in stored_constants(package)}
    for name in _compressed(model):
        kind, tensors = stored.get(stored_name(name), ("const", {}))
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
        if not np.array_equal(tensors["scale"].values.ravel(), _scales_as_stored(grid, tensors["scale"])):
            raise ExportError(f"Core ML: the scales of the weight '{name}' differ from its grid")


def _scales_as_stored(grid: GridWeight, stored: Stored) -> np.ndarray:
    return grid.scales.astype(stored.values.dtype).ravel()


def _check_answers(package: Path, model: QuantizedModel, method: Method) -> None:
    """Run the package and the module on the example inputs of each length."""
    runner = runtime.load(package)
    for length in method.lengths:
        examples = model.module.example_inputs(length)  # type: ignore[operator]
        with torch.no_grad():
            wanted = getattr(model.module, method.name)(*examples).numpy()
        (got,) = runner.run(*(e.numpy() for e in examples))
        if got.shape != wanted.shape or not np.isfinite(got).all():
            raise ExportError(
                f"Core ML: at length {length} the package gives {got.shape} or values that are not finite"
            )
        error = float(np.abs(got - wanted).max() / np.abs(wanted).max())
        if error > _TOLERANCE.get(model.numerics, np.inf):
            raise ExportError(
                f"Core ML: at length {length} the package differs from the module by {error:.1g} of the largest logit; "
                "an operator was converted with another meaning"
            )


def operators(package: Path) -> dict[str, int]:
    """The operators that a prediction runs, by their MIL name, with their counts."""
    return dict(Counter(step.type for step in runtime.load(package).programs["forward"].steps()))


def weight_bytes(package: Path) -> dict[str, int]:
    """Bytes of constants by stored type; scales and tables count as the floats that they are."""
    total: Counter[str] = Counter()
    for _, kind, tensors in stored_constants(package):
        for tensor in tensors.values():
            is_weight = np.issubdtype(tensor.element.numpy, np.floating) or kind != "const"
            if is_weight and tensor.values.ndim:
                total[tensor.element.name] += tensor.size_bytes
    return dict(total)
