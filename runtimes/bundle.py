"""Reading a bundle: a folder that an app ships. docs/bundle.md is its specification.

Nothing is trusted: the manifest must fit its JSON Schema, no path may leave the folder, and a file is opened only
after its sha256 was compared with the manifest's.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from edgewright.data import files
from edgewright.data.tokenizer import Tokenizer
from edgewright.data.tokenizer import load as load_tokenizer
from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes import Runner, Runtime, load

SCHEMA = 1


@dataclass(frozen=True)
class BundleArtifact:
    """One file for one target, as the manifest describes it."""

    target: Runtime
    numerics: str
    path: Path
    size_bytes: int
    sha256: str
    golden_max_abs_logit_error: float  # measured against the golden logits when the bundle was made


@dataclass(frozen=True)
class Golden:
    """One golden vector: what the float PyTorch model answers to a text."""

    text: str
    ids: list[Any]  # of the first window, before padding
    logits: list[Any]  # (C,); of a tagger (T, C); of a reply the score of each of its tokens
    label: str | list[str]  # of a tagger the tag of each word; of a reply its text
    reply: list[int] | None = None  # of a model that writes replies: the ids of the greedy one, its end included


@dataclass(frozen=True)
class Bundle:
    """A manifest that was read and checked. `manifest` is the whole of it, for what has no field here."""

    path: Path
    name: str
    kind: str  # of the task
    labels: tuple[str, ...]  # of a tagger its tags
    reject_label: str | None
    lengths: tuple[int, ...]  # buckets of the method "forward", or of "encode" where there is none, ascending
    temperature: float
    threshold: float | None
    artifacts: tuple[BundleArtifact, ...]
    manifest: dict[str, Any]
    state_packages: tuple[BundleArtifact, ...] = ()  # of Core ML, each with a method whose state it keeps inside

    def tokenizer(self) -> Tokenizer:
        return load_tokenizer(self._checked("tokenizer.json"))

    def golden(self) -> list[Golden]:
        # not splitlines(): a text may hold U+0085 or U+2028, which JSON leaves as they are
        lines = self._checked("golden.jsonl").read_text(encoding="utf-8").split("\n")
        try:
            return [Golden(**json.loads(line)) for line in lines if line]
        except (TypeError, ValueError) as error:
            raise DamagedFileError(f"{self.path}/golden.jsonl: {error}; get the bundle anew") from error

    def decoding(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Transitions (C, C), first and last (C,) of Viterbi, for a tagger; -inf forbids."""
        count = len(self.labels)
        try:
            transitions, first, last = read_decoding(self.manifest["postprocess"])
        except ValueError as error:  # rows of different lengths
            raise DamagedFileError(f"{self.path}/manifest.json: its transitions are no matrix; get it anew") from error
        if transitions.shape != (count, count) or first.shape != (count,) or last.shape != (count,):
            raise DamagedFileError(f"{self.path}/manifest.json: its transitions do not fit {count} tags; get it anew")
        return transitions, first, last

    def reference(self) -> Path | None:
        """The float PyTorch checkpoint, where the bundle holds one."""
        name = self.manifest.get("reference")
        return self._checked(name) if name else None

    def artifact(self, runtime: str, numerics: str | None = None) -> BundleArtifact:
        """The artifact of a runtime; without `numerics` the smallest one.

        Raises:
            UsageError: the bundle has none; the message lists what it has.
        """
        found = [a for a in self.artifacts if a.target == runtime and numerics in (None, a.numerics)]
        if not found:
            have = ", ".join(f"{a.target} {a.numerics}" for a in self.artifacts)
            raise UsageError(
                f"{self.path}: no artifact for {runtime} {numerics or ''}; it holds {have}".replace(" ;", ";")
            )
        return min(found, key=lambda artifact: artifact.size_bytes)

    def runner(self, artifact: BundleArtifact, threads: int = 1) -> Runner:
        """The artifact, checked and loaded."""
        check_file(artifact.path, artifact.sha256)
        return load(artifact.target, artifact.path, threads)

    def state_runner(self, package: BundleArtifact) -> Runner:
        """One of `state_packages`, checked and loaded; called as the artifact of the same numerics (state_inside)."""
        from edgewright.runtimes import state_inside  # the interpreter loads where it is used

        others = [a for a in self.artifacts if (a.target, a.numerics) == (package.target, package.numerics)]
        check_file(package.path, package.sha256)
        return state_inside.load_package(package.path, self.runner(others[0]) if others else None)

    def _checked(self, name: str) -> Path:
        expected = self.manifest["files"].get(name)
        if expected is None:
            raise DamagedFileError(f"{self.path}/manifest.json: lists no sha256 for {name}; get the bundle anew")
        path = files.inside(self.path, name)
        check_file(path, expected)
        return path


def read_decoding(said: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions (C, C), first and last (C,) from lists of rows, in which None stands for -inf."""
    transitions, first, last = (
        np.array([[-np.inf if value is None else value for value in row] for row in said[name]], np.float64)
        for name in ("transitions", "first", "last")
    )
    return transitions, first[0], last[0]


def read(path: Path) -> Bundle:
    """The bundle in the folder `path`.

    Raises:
        UsageError: there is no such folder.
        DamagedFileError: the manifest is missing, malformed or newer than this program, or a path leaves the folder.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such bundle; give a folder with a manifest.json, or one of: {', '.join(zoo())}")
    manifest = files.read_json(path / "manifest.json")
    _validate(manifest, path / "manifest.json")
    methods = {method["name"]: method for method in manifest["methods"]}
    first = next((methods[name] for name in ("forward", "encode") if name in methods), None)
    if first is None:
        raise DamagedFileError(f"{path}/manifest.json: has no method 'forward' or 'encode'; get the bundle anew")
    post = manifest["postprocess"]
    return Bundle(
        path=path,
        name=manifest["name"],
        kind=manifest["task"]["kind"],
        labels=tuple(manifest["task"]["labels"]),
        reject_label=manifest["task"]["reject_label"],
        lengths=tuple(sorted(first["lengths"])),
        temperature=post["temperature"],
        threshold=post["threshold"],
        artifacts=tuple(_artifact(path, entry) for entry in manifest["artifacts"]),
        manifest=manifest,
        state_packages=tuple(_artifact(path, entry) for entry in manifest.get("state_packages", ())),
    )


def find(name_or_path: str | Path) -> Path:
    """A bundle's folder from a path or from the name of a bundle in models/zoo."""
    if isinstance(name_or_path, str) and name_or_path in zoo():
        return zoo()[name_or_path]
    return Path(name_or_path)


@cache
def zoo() -> dict[str, Path]:
    """The bundles that come with the package, by name."""
    folder = Path(str(resources.files("edgewright"))) / "models" / "zoo"
    return {p.parent.name: p.parent for p in sorted(folder.glob("*/manifest.json"))}


@cache
def schema() -> Any:
    """The JSON Schema of manifest.json."""
    return json.loads((resources.files("edgewright.runtimes") / "manifest.schema.json").read_text(encoding="utf-8"))


def _validate(manifest: Any, path: Path) -> None:
    version = manifest.get("schema") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise DamagedFileError(
            f"{path}: schema {version} is newer than {SCHEMA}, which this edgewright reads; upgrade edgewright"
        )
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(manifest))
    if problem is not None:
        place = "/".join(str(part) for part in problem.absolute_path) or "the top level"
        text = problem.message if len(problem.message) < 200 else problem.message[:200] + " ..."
        raise DamagedFileError(f"{path}: {place}: {text}; get the bundle anew")


def _artifact(bundle: Path, entry: dict[str, Any]) -> BundleArtifact:
    return BundleArtifact(
        target=entry["target"],
        numerics=entry["numerics"],
        path=files.inside(bundle, entry["file"]),
        size_bytes=entry["size_bytes"],
        sha256=entry["sha256"],
        golden_max_abs_logit_error=entry["golden_max_abs_logit_error"],
    )


def check_file(path: Path, expected: str) -> None:
    """Raises DamagedFileError: the file (or folder) is missing, or has another SHA-256 than the manifest says."""
    if not path.exists():
        raise DamagedFileError(f"{path}: the file is missing; get the bundle anew")
    found = files.sha256(path)
    if found != expected:
        raise DamagedFileError(
            f"{path}: truncated or changed: sha256 is {found[:12]}…, the manifest says {expected[:12]}…; "
            "get the bundle anew"
        )
