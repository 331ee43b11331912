"""The Core ML package that keeps its state and goes with an artifact: made beside it, described, and found again."""

from collections.abc import Sequence
from pathlib import Path

from edgewright.compress.quantize import QuantizedModel
from edgewright.data.files import read_json, write_json
from edgewright.export.artifact import Artifact, Metadata, to_json
from edgewright.export.bundle import Shipped, StatePackage
from edgewright.models.methods import Method

DESCRIPTION = "state.json"


def export_beside(model: QuantizedModel, method: Method, artifact: Path, metadata: Metadata) -> Artifact:
    """See export.coreml_state.export_with_state; `NAME-state.mlpackage` beside the artifact `NAME.mlpackage`."""
    from edgewright.export.coreml_state import export_with_state  # needs [coreml], which other targets do without

    return export_with_state(model, method, artifact.with_name(f"{artifact.stem}-state{artifact.suffix}"), metadata)


def describe(package: StatePackage) -> None:
    """Write what `beside` reads."""
    said = {"method": package.method, "golden_max_abs_logit_error": package.golden_max_abs_logit_error}
    write_json(package.artifact.path.with_name(DESCRIPTION), to_json(package.artifact) | said)


def beside(artifact: Path) -> StatePackage | None:
    """The package that was made beside an artifact, if any."""
    path = artifact.with_name(DESCRIPTION)
    if not path.exists():
        return None
    said = read_json(path)
    method, error = said.pop("method"), said.pop("golden_max_abs_logit_error")
    return StatePackage(Artifact(path=path.with_name(said.pop("file")), **said), method, error)


def of(shipped: Sequence[Shipped]) -> list[StatePackage]:
    """Those that go with the artifacts of a bundle."""
    found = [beside(one.artifact.path) for one in shipped if one.artifact.target == "coreml"]
    return [package for package in found if package is not None]
