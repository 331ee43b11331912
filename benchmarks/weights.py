"""Do the files of a bundle store the same weights? Read back out of each, and compared integer by integer.

The measure is the grid of compress/quantize.py: what quantize makes of the bundle's reference under a file's numerics.
A weight is equal in a file when every function that uses it has the grid's integers and scales; it is the same in all
files when these are equal to each other as well, which files of different bits cannot be.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgewright.benchmarks.record import Verdict
from edgewright.benchmarks.weight_cells import EQUAL, Cell, cell_of, same, words
from edgewright.compress.numerics import Target
from edgewright.compress.quantize import QUANTIZED, QuantizedModel, precision_in, quantize
from edgewright.errors import EdgewrightError, MissingExtraError
from edgewright.export import stored
from edgewright.export.stored import BITS, Contents, Held
from edgewright.export.tracing import used_parameters
from edgewright.models import checkpoint
from edgewright.models.methods import Method, Tensor
from edgewright.runtimes.bundle import Bundle, BundleArtifact, check_file

SCHEMA = 1


@dataclass(frozen=True)
class Layer:
    """A weight by its parameter's name; bits: of its grid in each file, None without grid; cells: by a file's name."""

    name: str
    shape: tuple[int, ...]
    bits: dict[str, int | None]
    cells: dict[str, Cell]


@dataclass(frozen=True)
class File:
    """One file of the bundle. name: "executorch", with its numerics where there are two of the target."""

    name: str
    target: str
    numerics: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Comparison:
    """unused: parameters that no method depends on, which no file needs to hold."""

    bundle: str
    files: tuple[File, ...]
    layers: tuple[Layer, ...]
    unused: tuple[str, ...]
    verdict: Verdict
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "kind": "weights", **dataclasses.asdict(self)}


def compare(bundle: Bundle) -> Comparison:
    """Every weight of every file of the bundle, state packages included.

    Raises:
        DamagedFileError: a file is missing or changed, or cannot be read.
        EdgewrightError: the bundle has no reference, so there is no grid.
    """
    reference = bundle.reference()
    if reference is None:
        raise EdgewrightError(
            f"{bundle.path}: has no float reference, from which the grid of its weights is made; export it with one"
        )
    module = checkpoint.load_model(reference)
    methods = _methods(bundle.manifest["methods"])
    precision = precision_in(bundle.manifest)
    opened = artifacts(bundle)
    models = {name: quantize(module, artifact.numerics, precision) for name, artifact in opened.items()}  # type: ignore[arg-type]
    readable, missing = {}, {}
    for name, artifact in opened.items():
        try:
            stored.reader(artifact.target)  # type: ignore[arg-type]
            check_file(artifact.path, artifact.sha256)
            readable[name] = artifact.target, models[name], artifact.path
        except MissingExtraError as error:
            missing[name] = str(error)
    layers = compare_files(module, methods, readable)  # type: ignore[arg-type]
    found = tuple(
        File(name, artifact.target, artifact.numerics, *_verdict(name, models[name], layers, missing.get(name)))
        for name, artifact in opened.items()
    )
    uses = _uses(module, methods)
    unused = tuple(name for name in _weights(module) if not uses[name])
    return Comparison(bundle.name, found, layers, unused, *_overall(found, layers))


def compare_files(
    module: nn.Module, methods: Sequence[Method], opened: Mapping[str, tuple[Target, QuantizedModel, Path]]
) -> tuple[Layer, ...]:
    """Every weight that the methods depend on, in files of these names; `module` is what their models were made of.

    Raises:
        DamagedFileError: a file cannot be read. MissingExtraError: not with what is installed.
    """
    uses = _uses(module, methods)
    names = [name for name in _weights(module) if uses[name]]
    models = {file: model for file, (_, model, _) in opened.items()}
    contents = {file: stored.read(target, path, model, names) for file, (target, model, path) in opened.items()}
    return tuple(_layer(name, module, models, contents, uses[name]) for name in names)


def _weights(module: nn.Module) -> list[str]:
    """The parameters that have a grid in some numerics."""
    return [
        f"{path}.weight".removeprefix(".") for path, layer in module.named_modules() if isinstance(layer, QUANTIZED)
    ]


def artifacts(bundle: Bundle, state_packages: bool = True) -> dict[str, BundleArtifact]:
    """The files of a bundle by the name that a comparison gives them: the target, with numerics where it needs them."""
    targets = [artifact.target for artifact in bundle.artifacts]
    named = {
        artifact.target if targets.count(artifact.target) == 1 else f"{artifact.target} {artifact.numerics}": artifact
        for artifact in bundle.artifacts
    }
    for package in bundle.state_packages if state_packages else ():
        alone = len(bundle.state_packages) == 1
        named["coreml, state inside" if alone else f"coreml {package.numerics}, state inside"] = package
    return named


def _methods(said: Sequence[Mapping[str, Any]]) -> list[Method]:
    """The methods as the manifest has them."""
    return [
        Method(
            method["name"],
            _tensors(method["inputs"]),
            _tensors(method["outputs"]),
            lengths=tuple(method["lengths"]),
            state=tuple((before, after) for before, after in method["state"]),
        )
        for method in said
    ]


def _tensors(said: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(tensor["name"], tensor["dtype"], tuple(tensor["shape"])) for tensor in said)


def _uses(module: nn.Module, methods: Sequence[Method]) -> dict[str, set[str]]:
    """The methods that depend on each parameter."""
    used = {method.name: used_parameters(module, [method]) for method in methods}
    return {name: {method for method in used if name in used[method]} for name, _ in module.named_parameters()}


def _layer(
    name: str,
    module: nn.Module,
    models: Mapping[str, QuantizedModel],
    contents: Mapping[str, Contents],
    methods: set[str],
) -> Layer:
    cells: dict[str, Cell] = {}
    first: Held | None = None
    for file, content in contents.items():
        held = content.weights[name]
        lacking = _lacking(content, held, methods)
        cell = cell_of(held, models[file].weights.get(name), lacking)
        integers = next((one for one in held if one.kind in BITS), None)
        if integers is not None:
            first = first or integers
            cell = dataclasses.replace(cell, same=same(first, integers))
        cells[file] = cell
    bits = {file: grid.bits if (grid := models[file].weights.get(name)) else None for file in models}
    return Layer(name, tuple(module.get_parameter(name).shape), bits, cells)


def _lacking(content: Contents, held: Sequence[Held], methods: set[str]) -> tuple[str, ...]:
    """The functions of methods that use a weight, and do not have it."""
    having = {one.function for one in held}
    return tuple(name for name in content.functions if _method(name) in methods and name not in having)


def _method(function: str) -> str:
    """ "forward" of "forward_16", and "step" of "step"."""
    method, _, length = function.rpartition("_")
    return method if length.isdecimal() else function


def _verdict(name: str, model: QuantizedModel, layers: Sequence[Layer], missing: str | None) -> tuple[Verdict, str]:
    """Of one file, with the reason in words."""
    if missing:
        return "not_verifiable", missing
    cells = [(layer.name, layer.cells[name]) for layer in layers]
    if not model.weights:
        how = "a palette of each weight" if model.numerics.startswith("palette_") else "every weight as floats"
        return "fail", f"{model.numerics} has no grid of integers: it stores {how}"
    wrong = [(layer, cell) for layer, cell in cells if cell.state not in EQUAL]
    if not wrong:
        return "pass", "all weights have the grid's integers and scales"
    layer, cell = wrong[0]
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return "fail", f"{layer}: {words(cell)}{more}"


def _overall(found: Sequence[File], layers: Sequence[Layer]) -> tuple[Verdict, str]:
    """Of the bundle. A file that cannot be read hides no difference that was seen in another."""
    failed = [file for file in found if file.verdict == "fail"]
    if failed:
        return "fail", "not equal: " + "; ".join(f"{file.name}: {file.reason}" for file in failed)
    unread = [file for file in found if file.verdict == "not_verifiable"]
    if unread:
        return "not_verifiable", "not verifiable: " + "; ".join(f"{file.name}: {file.reason}" for file in unread)
    others = [layer for layer in layers if any(cell.same is False for cell in layer.cells.values())]
    if others:
        bits = ", ".join(f"{file.name} {file.numerics}" for file in found)
        return "fail", (
            f"not equal: each file has its own grid's integers, but {len(others)} of {len(layers)} weights, "
            f"{others[0].name} first, are not the same in all, since they differ in numerics: {bits}"
        )
    if len(found) == 1:
        return "pass", f"equal to the grid: {len(layers)} weights of {found[0].name}; there is no second file"
    return "pass", f"equal: {len(layers)} weights, 0 differing integers, equal scales in {len(found)} files"
