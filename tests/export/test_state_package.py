"""The package that goes with an artifact is found beside it, and only there."""

from pathlib import Path

from edgewright.export import state_package
from edgewright.export.artifact import Artifact, describe
from edgewright.export.bundle import Shipped, StatePackage


def artifact(path: Path, target: str = "coreml") -> Artifact:
    path.mkdir(parents=True)
    (path / "weight.bin").write_bytes(b"weights")
    return describe(target, "fp32", path, {"lstm": 1}, {}, {"float32": 7})  # type: ignore[arg-type]


def test_what_was_described_is_found_beside_its_artifact(tmp_path: Path) -> None:
    shipped = [Shipped(artifact(tmp_path / "a" / "coreml-fp32.mlpackage"), 0.1)]
    assert state_package.of(shipped) == []
    package = StatePackage(artifact(tmp_path / "a" / "coreml-fp32-state.mlpackage"), "step", 0.2)
    state_package.describe(package)
    other = Shipped(artifact(tmp_path / "b" / "coreml-fp32.mlpackage"), 0.1)
    assert state_package.of([*shipped, other]) == [package]
    assert state_package.of([Shipped(artifact(tmp_path / "a" / "onnx-fp32.onnx", "onnx"), 0.1)]) == []
