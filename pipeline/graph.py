"""A graph of cached stages: what a run would do, why, and doing only that.

A stage's key is the hash of everything that it depends on: its settings, the code and the libraries that it uses, and
the keys of the stages before it. Its result is the folder `build/<name>-<key>`, which appears whole or not at
all; so a second run reuses it, and a killed one goes on with the stage that was being made.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.errors import DamagedFileError, UsageError

POLL_SECONDS = 0.2
MOST_REASONS = 3
Produce = Callable[[Path, Path], None]  # (folder to fill, folder that survives a kill, for what can be resumed)


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    settings: JSON values. code: modules whose source text counts. libraries: distributions whose version counts.
    joint: all processes of torchrun work on it together; any other stage is made by the first one alone.
    owner: the recipe whose stage it is, where that is not the one that is run.
    """

    name: str
    produce: Produce
    after: tuple["Stage", ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    joint: bool = False
    owner: str = ""

    @property
    def title(self) -> str:
        """What a graph calls it: stages of two recipes may have one name, and, where all is alike, one result."""
        return f"{self.owner}/{self.name}" if self.owner else self.name

    @cached_property
    def depends(self) -> dict[str, Any]:
        """Everything that the key is made from, by a name that a person understands."""
        return {
            **{f"setting {name}": value for name, value in self.settings.items()},
            **{f"code of {module}": code_version(module) for module in self.code},
            **{f"version of {library}": library_version(library) for library in self.libraries},
            **{f"stage {stage.name}": stage.key for stage in self.after},
        }

    @cached_property
    def key(self) -> str:
        text = json.dumps([self.name, self.depends], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Step:
    """What a run does about one stage, and why."""

    stage: Stage
    cached: bool
    reason: str


class Graph:
    """Stages in an order in which each comes after those that it needs.

    follower: this is not the first of torchrun's processes, all of which see the same build folder.
    """

    def __init__(self, build: Path, stages: Sequence[Stage], follower: bool = False) -> None:
        self.build = build
        self.stages = list(stages)
        self.follower = follower

    def folder(self, stage: Stage) -> Path:
        return folder_of(self.build, stage)

    def plan(self, start: str | None = None) -> list[Step]:
        """What `run` would do. With `start`, that stage and all that depend on it are made again.

        Raises:
            UsageError: there is no stage `start`.
        """
        again = self._from(start)
        return [self._step(stage, stage.title in again) for stage in self.stages]

    def run(
        self,
        start: str | None = None,
        progress: Callable[[Step], None] = lambda step: None,
        only: Collection[str] | None = None,
    ) -> None:
        """Make every stage whose result is not there; with `only`, just those stages and what they need."""
        wanted = None if only is None else self._needed(only)
        for step in self.plan(start):
            if wanted is not None and step.stage.title not in wanted:
                continue
            progress(step)
            if not step.cached:
                self._make(step.stage)

    def _make(self, stage: Stage) -> None:
        kept = self.build / "unfinished" / f"{stage.name}-{stage.key}"
        if self.follower:
            self._follow(stage, kept)
            return

        def write(folder: Path) -> None:
            folder.mkdir(parents=True)
            stage.produce(folder, kept)

        write_atomically(self.folder(stage), write)
        shutil.rmtree(kept, ignore_errors=True)
        self._remember(stage)

    def _follow(self, stage: Stage, kept: Path) -> None:
        """Take part where all do, and wait for the result of the first process."""
        if stage.joint:
            with tempfile.TemporaryDirectory() as folder:
                stage.produce(Path(folder), kept)
        while not self.folder(stage).is_dir():
            time.sleep(POLL_SECONDS)

    def _needed(self, names: Collection[str]) -> set[str]:
        needed = set(names)
        for stage in reversed(self.stages):
            if stage.title in needed:
                needed |= {before.title for before in stage.after}
        return needed

    def _from(self, start: str | None) -> set[str]:
        if start is None:
            return set()
        # "export" stands for all stages export-litert-fp32, ...
        again = {s.title for s in self.stages if s.title == start or s.title.startswith(start + "-")}
        if not again:
            raise UsageError(f"no stage is called '{start}'; stages: {', '.join(s.title for s in self.stages)}")
        for stage in self.stages:
            if any(before.title in again for before in stage.after):
                again.add(stage.title)
        return again

    def _step(self, stage: Stage, again: bool) -> Step:
        if again:
            return Step(stage, False, "asked for with --from")
        if self.folder(stage).is_dir():
            return Step(stage, True, "its result is there")
        return Step(stage, False, self._what_changed(stage))

    def _what_changed(self, stage: Stage) -> str:
        path = self.build / "last.json"
        try:
            last = read_json(path).get(stage.title) if path.exists() else None
        except DamagedFileError:
            last = None  # it only explains; the next stage that is made writes it anew
        if last is None:
            return "never made here"
        depends = json.loads(json.dumps(stage.depends))  # as the file has them: lists, no tuples
        changed = [name for name, value in depends.items() if last.get(name) != value]
        if not changed:
            return "its result is gone"
        more = f" and {len(changed) - MOST_REASONS} more" if len(changed) > MOST_REASONS else ""
        return "changed: " + ", ".join(changed[:MOST_REASONS]) + more

    def _remember(self, stage: Stage) -> None:
        path = self.build / "last.json"
        try:
            last = read_json(path) if path.exists() else {}
        except DamagedFileError:
            last = {}
        write_json(path, last | {stage.title: stage.depends})


def folder_of(build: Path, stage: Stage) -> Path:
    """Where the result of a stage lies, once it is there."""
    return build / f"{stage.name}-{stage.key}"


@cache
def code_version(module: str) -> str:
    """A hash of the source of a module, or of all modules of a package."""
    file = module_path(module)
    sources = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def module_path(module: str) -> Path:
    """The file of a module of ours, found without importing the module (it may import torch)."""
    root = Path(str(import_module("edgewright").__file__)).parent
    path = root.joinpath(*module.removeprefix("edgewright.").split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def library_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
