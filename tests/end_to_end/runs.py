"""Running the command line as a user would, and what a run leaves."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from edgewright.cli import main


@dataclass(frozen=True)
class Done:
    """A finished `edgewright` command."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


def edgewright(*arguments: str | Path, stdin: str | bytes | None = None, **environment: str) -> Done:
    """Run the command line in a process of its own: for what a process is needed to show, as it takes seconds."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "edgewright", *map(str, arguments)],
        input=given,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def inside(*arguments: str | Path, stdin: str | bytes = b"") -> Done:
    """Run the command line in this process, whose libraries are loaded already.

    What is raised and not explained reaches the test.
    """
    given = io.TextIOWrapper(io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin), encoding="utf-8")
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["edgewright", *map(str, arguments)]),
        patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            assert end.code is None or isinstance(end.code, int)
            code = end.code or 0
    return Done(code, stdout.getvalue(), stderr.getvalue())


def refused(done: Done, code: int, *words: str) -> None:
    """One line on stderr that begins with our name, holds the words, and the exit code; no traceback."""
    lines = done.stderr.strip().splitlines()
    assert done.code == code, done.stderr
    assert lines and lines[-1].startswith("edgewright: "), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[-1], lines[-1]


@dataclass(frozen=True)
class Run:
    """A finished run: its folders and its record."""

    out: Path
    build: Path
    record: dict[str, Any]
    done: Done

    @classmethod
    def of(cls, folder: Path, done: Done) -> Self:
        """What `run` left in `folder`."""
        return cls(folder / "out", folder / "build", done.json(), done)

    @property
    def bundle(self) -> Path:
        return self.out / "bundle"

    def cell(self, target: str, numerics: str) -> dict[str, Any]:
        return next(c for c in self.record["cells"] if (c["target"], c["numerics"]) == (target, numerics))


SMALL = """
name = "small"
task = "urgency"
description = "urgency, small enough for a test"
[data]
count = 1500
[tokenizer]
kind = "hashed_ngrams"
buckets = 2000
features = 8
[model]
family = "ngram_hybrid"
width = 16
hidden = 16
bag_hidden = 32
[train]
epochs = 6
learning_rate = 0.01
[export]
lengths = [16, 64]
[gates]
min_accuracy = 0.5
max_accuracy_drop = 0.02
"""


def changed(recipe: str, changes: Mapping[str, str]) -> str:
    """The text of a recipe with other settings; each key must stand in it."""
    for old, new in changes.items():
        assert old in recipe, old
        recipe = recipe.replace(old, new)
    return recipe


def run(recipe: Path | str, folder: Path, start: Callable[..., Done] = inside) -> Run:
    """start: `edgewright` for a process of its own."""
    done = start("run", recipe, "--out", folder / "out", "--build", folder / "build", "--effort", "rapid", "--json")
    assert done.stdout, done.stderr[-3000:]
    return Run.of(folder, done)
