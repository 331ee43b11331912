"""Running the command line as a user would, and what a run leaves."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """A finished `edgewright` command."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


def edgewright(*arguments: str | Path, stdin: str | bytes | None = None, **environment: str) -> Done:
    """Run the command line in a process of its own."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "edgewright", *map(str, arguments)],
        input=given,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


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


def run(recipe: Path | str, folder: Path) -> Run:
    done = edgewright(
        "run", recipe, "--out", folder / "out", "--build", folder / "build", "--effort", "rapid", "--json"
    )
    assert done.stdout, done.stderr[-3000:]
    return Run(folder / "out", folder / "build", done.json(), done)
