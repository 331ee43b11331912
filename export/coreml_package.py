"""A .mlpackage on disk: one function or several, with descriptions, the same bytes for the same programs."""

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgewright.data.files import write_bytes, write_text
from edgewright.export.artifact import Metadata
from edgewright.export.coreml_program import PROBABILITIES
from edgewright.export.coreml_tools import PASS_REGISTRY, Program, coremltools
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.coreml import METHOD
from edgewright.runtimes.mil.loading import MODEL_FOLDER, read_model

LABEL = "label"  # the classifier's string output; its probabilities are "label_probs"
# Where a package keeps its parts, as coremltools writes it.
_NUMBERED = re.compile(r"const_\d+(|\D.*)")  # the name of a constant that the model does not name
_PARTS = (
    ("com.apple.CoreML/model.mlmodel", "model.mlmodel", "CoreML Model Specification"),
    ("com.apple.CoreML/weights", "weights", "CoreML Model Weights"),
)


def together(programs: Sequence[Any], methods: Sequence[Method]) -> Any:
    """One program with a function a method, the first one the default; what they share is to be stored once."""
    if len(programs) == 1:
        return programs[0]
    merged = Program()
    for program, method in zip(programs, methods, strict=True):
        merged.add_function(method.name, program.functions["main"])
    merged.default_function_name = methods[0].name
    merged.export_as_multifunction = True
    # as coremltools' save_multifunction does, which works on finished packages only
    PASS_REGISTRY["common::const_deduplication"]._deduplicate_const_across_functions(merged)
    return merged


def write_package(program: Any, target: Any, labels: tuple[str, ...] | None, package: Path) -> None:
    """The package as coremltools writes it; `labels` are those of a classifier."""
    classifier = None
    if labels is not None:
        classifier = coremltools.ClassifierConfig(
            list(labels), predicted_feature_name=LABEL, predicted_probabilities_output=PROBABILITIES
        )
    coremltools.convert(
        program,
        source="milinternal",
        convert_to="mlprogram",
        minimum_deployment_target=target,
        pass_pipeline=coremltools.PassPipeline.EMPTY,  # everything was done on the way to the program
        compute_precision=coremltools.precision.FLOAT32,
        classifier_config=classifier,
        skip_model_load=True,
        package_dir=str(package),
    )


def copy_repeatably(converted: Path, package: Path, methods: Sequence[Method], metadata: Metadata) -> None:
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
    if len(methods) == 1 and methods[0].name != "forward":
        properties[METHOD] = methods[0].name  # the function is called "main"
    for function, method in zip(described.functions or [described], methods, strict=True):
        _describe(function, method)
    _number_constants(model.mlProgram)
    write_bytes(package / MODEL_FOLDER / "model.mlmodel", model.SerializeToString(deterministic=True))
    weights = Path("weights", "weight.bin")
    write_bytes(package / MODEL_FOLDER / weights, (converted / MODEL_FOLDER / weights).read_bytes())
    write_text(package / "Manifest.json", json.dumps(_manifest(), indent=4) + "\n")


def _number_constants(program: Any) -> None:
    """Number constants without a name of their own in the order of the program.

    coremltools keeps one of several equal constants, and which one, "const_0" or "const_1", differs from run to run.
    """
    for function in program.functions.values():
        blocks = [inner for block in function.block_specializations.values() for inner in _blocks(block)]
        operations = [operation for block in blocks for operation in block.operations]
        names = dict.fromkeys(output.name for operation in operations for output in operation.outputs)
        numbered = [match for name in names if (match := _NUMBERED.fullmatch(name))]
        renamed = {match[0]: f"const_{place}{match[1]}" for place, match in enumerate(numbered)}
        for operation in operations:
            for output in operation.outputs:
                output.name = renamed.get(output.name, output.name)
            bindings = [binding for argument in operation.inputs.values() for binding in argument.arguments]
            for binding in bindings:
                if binding.WhichOneof("binding") == "name":
                    binding.name = renamed.get(binding.name, binding.name)
            said = operation.attributes["name"].immediateValue.tensor.strings.values
            said[:] = [renamed.get(name, name) for name in said]
        for block in blocks:
            block.outputs[:] = [renamed.get(name, name) for name in block.outputs]


def _blocks(block: Any) -> Iterator[Any]:
    """A block, and those inside its operations."""
    yield block
    for operation in block.operations:
        for inner in operation.blocks:
            yield from _blocks(inner)


def _describe(function: Any, method: Method) -> None:
    """Says of each input, output and state of a function what it holds."""
    after = dict(method.state)
    meaning = {LABEL: "the most probable label", f"{LABEL}_probs": "the probability of each label"}
    lengths = " or ".join(str(n) for n in sorted(method.lengths))
    for tensor in method.inputs:
        meaning[tensor.name] = _text(tensor)
        if "length" in tensor.shape:
            meaning[tensor.name] += f", length {lengths}, padded with 0"
        if tensor.name in after:
            meaning[tensor.name] += f"; zeros at first, then what the call before gave as {after[tensor.name]}"
    for tensor in method.outputs:
        meaning[tensor.name] = _text(tensor) + ", before softmax" * (tensor.name in ("logits", "scores"))
    for feature in [*function.input, *function.output]:
        feature.shortDescription = meaning[feature.name]
    for feature in function.state:
        feature.shortDescription = "kept from call to call, zeros at first"


def _text(tensor: Described) -> str:
    return f"{tensor.dtype} (" + ", ".join(str(size) for size in tensor.shape) + ")"


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
