"""Writing a bundle: the folder that an app ships, whole or not at all. docs/bundle.md is its specification."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edgewright
from edgewright.data import files
from edgewright.export.artifact import SUFFIX, Artifact
from edgewright.models.methods import Method
from edgewright.runtimes import bundle as reader
from edgewright.runtimes.bundle import Golden

TOKENIZER_SPEC = 1
STATE_IOS = 18  # MLState came with it


@dataclass(frozen=True)
class Shipped:
    """One artifact of the bundle, with what was measured against the golden logits here."""

    artifact: Artifact
    golden_max_abs_logit_error: float


@dataclass(frozen=True)
class StatePackage:
    """A Core ML package that keeps the state of `method` inside; it goes with the artifact of its numerics."""

    artifact: Artifact
    method: str
    golden_max_abs_logit_error: float


@dataclass(frozen=True)
class Content:
    """Everything that goes into a bundle. The dictionaries are sections of the manifest as they stand."""

    name: str
    description: str
    task: dict[str, Any]
    methods: Sequence[Method]
    postprocess: dict[str, Any]
    data: dict[str, Any]
    seeds: Sequence[int]
    versions: dict[str, str]
    gates: Sequence[dict[str, Any]]
    measurements: Sequence[dict[str, Any]]
    tokenizer: Path | None  # None: the model reads no text
    reference: Path  # the float checkpoint
    golden: Sequence[Golden]
    shipped: Sequence[Shipped]
    state_packages: Sequence[StatePackage] = ()
    quantization: dict[str, Any] | None = None  # bits of single layers, form of the scales; None: as the numerics say


def write(content: Content, path: Path) -> None:
    """Write the bundle to the folder `path`, replacing what is there, and read it back once."""
    files.write_atomically(path, lambda folder: _fill(content, folder))
    reader.read(path)


def tokenizer_bytes(tokenizer: Path | None) -> int:
    """0 where there is none."""
    return files.size_bytes(tokenizer) if tokenizer is not None and tokenizer.exists() else 0


def shipped_bytes(artifact_bytes: int, tokenizer_bytes: int, labels: Sequence[str]) -> int:
    """What one target costs an app: artifact + tokenizer + labels, one label a line."""
    return artifact_bytes + tokenizer_bytes + sum(len(label.encode()) + 1 for label in labels)


def method_json(method: Method) -> dict[str, Any]:
    values = asdict(method)
    del values["batch"]  # a bundle's artifacts take one row a call
    return values


def _fill(content: Content, folder: Path) -> None:
    (folder / "artifacts").mkdir(parents=True)
    if content.tokenizer is not None:
        shutil.copyfile(content.tokenizer, folder / "tokenizer.json")
    shutil.copyfile(content.reference, folder / "reference.safetensors")
    lines = [json.dumps(_golden_json(golden), ensure_ascii=False) for golden in content.golden]
    (folder / "golden.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    entries = [_artifact(one.artifact, one.golden_max_abs_logit_error, content, folder) for one in content.shipped]
    packages = [_state_package(one, content, folder) for one in content.state_packages]
    checked = [name for name in ("tokenizer.json", "golden.jsonl", "reference.safetensors") if (folder / name).exists()]
    files.write_json(
        folder / "manifest.json",
        {
            "schema": reader.SCHEMA,
            "name": content.name,
            "description": content.description,
            "created_by": f"edgewright {edgewright.__version__}",
            "tokenizer_spec": TOKENIZER_SPEC,
            "task": content.task,
            "methods": [method_json(method) for method in content.methods],
            "postprocess": content.postprocess,
            **({"quantization": content.quantization} if content.quantization else {}),
            "artifacts": entries,
            **({"state_packages": packages} if packages else {}),
            "files": {name: files.sha256(folder / name) for name in checked},
            "reference": "reference.safetensors",
            "gates": list(content.gates),
            "measurements": list(content.measurements),
            "data": content.data,
            "seeds": list(content.seeds),
            "versions": content.versions,
        },
    )


def _golden_json(golden: Golden) -> dict[str, Any]:
    return {name: value for name, value in asdict(golden).items() if value is not None}


def _state_package(package: StatePackage, content: Content, folder: Path) -> dict[str, Any]:
    entry = _artifact(package.artifact, package.golden_max_abs_logit_error, content, folder, "-state")
    return entry | {"state": "inside", "method": package.method, "minimum_ios": STATE_IOS}


def _artifact(artifact: Artifact, error: float, content: Content, folder: Path, more: str = "") -> dict[str, Any]:
    name = f"artifacts/{artifact.target}-{artifact.numerics}{more}{SUFFIX[artifact.target]}"
    if artifact.path.is_dir():
        shutil.copytree(artifact.path, folder / name)
    else:
        shutil.copyfile(artifact.path, folder / name)
    return {
        "target": artifact.target,
        "numerics": artifact.numerics,
        "file": name,
        "size_bytes": artifact.size_bytes,
        "shipped_bytes": shipped_bytes(artifact.size_bytes, tokenizer_bytes(content.tokenizer), content.task["labels"]),
        "sha256": artifact.sha256,
        "golden_max_abs_logit_error": error,
    }
