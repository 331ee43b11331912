"""What an exporter is told, and what it answers: the same for every target."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.compress.numerics import Numerics, Target
from edgewright.data.files import sha256, size_bytes

SUFFIX: dict[Target, str] = {
    "executorch": ".pte",
    "litert": ".tflite",
    "coreml": ".mlpackage",
    "onnx": ".onnx",
}


@dataclass(frozen=True)
class Metadata:
    """What a file says about itself where its format has room for it."""

    name: str
    description: str
    labels: tuple[str, ...]
    license: str
    version: str
    author: str = "edgewright"
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A file (for Core ML a folder) that was written and loaded again.

    delegated: operators that the accelerated kernels took, with their counts; left_over: those that run on
    portable ones. weight_bytes: bytes of constants by stored type, {"int8": 643072, "float32": 4096}; "mask": the bits
    that say which weights are not zero. sparse: of the weights that have a mask {"weights": how many, "zeros": how many
    of them are not stored, "saved_bytes": what values and masks take less than all values would}; else empty.
    """

    target: Target
    numerics: Numerics
    path: Path
    size_bytes: int
    sha256: str
    delegated: dict[str, int]
    left_over: dict[str, int]
    weight_bytes: dict[str, int]
    sparse: dict[str, int] = field(default_factory=dict)

    @property
    def float_share(self) -> float:
        """The share of weight bytes that stayed float32."""
        return self.weight_bytes.get("float32", 0) / max(1, sum(self.weight_bytes.values()))


def describe(
    target: Target,
    numerics: Numerics,
    path: Path,
    delegated: dict[str, int],
    left_over: dict[str, int],
    weight_bytes: dict[str, int],
    sparse: dict[str, int] | None = None,
) -> Artifact:
    """The Artifact of a finished file."""
    return Artifact(
        target, numerics, path, size_bytes(path), sha256(path), delegated, left_over, weight_bytes, sparse or {}
    )


def to_json(artifact: Artifact) -> dict[str, Any]:
    return {
        "target": artifact.target,
        "numerics": artifact.numerics,
        "file": artifact.path.name,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "delegated": artifact.delegated,
        "left_over": artifact.left_over,
        "weight_bytes": artifact.weight_bytes,
        "sparse": artifact.sparse,
    }
