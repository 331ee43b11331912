"""Whether tflite-runtime 2.14, the last of its name, runs our .tflite files: a check of what older apps would do.

    python -m edgewright.benchmarks.old_tflite BUNDLE [FILE.tflite ...] --out FILE.json

installs it into an environment of its own (it needs NumPy 1, edgewright NumPy 2), runs the bundle's LiteRT artifacts
and the given files there on the bundle's golden vectors, in each signature, and compares the logits with those of
ai-edge-litert here. A second environment shows what NumPy 2 does to it. docs/decisions/0007-ai-edge-litert.md draws
the conclusion. Needs a Python that tflite-runtime has wheels for, and pip's index: network or a local one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.machine import fingerprint
from edgewright.data.files import sha256, write_json
from edgewright.data.tokenizer import batch
from edgewright.errors import EdgewrightError, UsageError
from edgewright.runtimes import Runner, load
from edgewright.runtimes import bundle as bundles

RUNTIME = "tflite-runtime==2.14.*"
NUMPY = ("numpy<2", "numpy>=2,<2.4")  # what it was built for; what edgewright has
WORKER = Path(__file__).with_name("old_tflite_worker.py")
INSTALL_SECONDS = 600
RUN_SECONDS = 300


@dataclass(frozen=True)
class OldRun:
    """How far the old runtime came with one file. The figures are None where it gave no answers.

    calls: golden vectors times signatures. label_agreement: the share of calls with the same largest logit.
    error: the first line of what the runtime raised, or the signal that ended it.
    """

    file: str
    size_bytes: int
    sha256: str
    imports: bool
    loads: bool
    runs: bool
    calls: int | None = None
    max_abs_difference: float | None = None
    largest_logit: float | None = None
    label_agreement: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Environment:
    """One environment and what it did. Versions are None where the process died before it could say them."""

    asked: tuple[str, ...]  # what pip was asked for
    python: str | None
    tflite_runtime: str | None
    numpy: str | None
    files: tuple[OldRun, ...]


def check(bundle: bundles.Bundle, files: Sequence[Path], venvs: Path) -> tuple[Environment, ...]:
    """One entry for each of NUMPY. `venvs`: the folder that the environments are made in, or lie in already.

    Raises:
        EdgewrightError: an environment cannot be made; the message holds pip's reason.
        UsageError: there is nothing to run, or no such file.
    """
    paths = [artifact.path for artifact in bundle.artifacts if artifact.target == "litert"] + list(files)
    if not paths:
        raise UsageError(f"{bundle.path}: no LiteRT artifact in it; name .tflite files beside it")
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: no such file; name .tflite files")
    inputs = golden_inputs(bundle)
    found = []
    for number, numpy in enumerate(NUMPY, start=1):
        python = environment(venvs / f"numpy{number}", (RUNTIME, numpy))
        found.append(_environment((RUNTIME, numpy), [run(python, path, inputs) for path in paths]))
    return tuple(found)


def golden_inputs(bundle: bundles.Bundle) -> dict[str, np.ndarray]:
    """(N, length[, K]) int32 ids of the golden vectors, cut and padded, by signature: {"forward_8": …}."""
    ids = [np.array(golden.ids, np.int32) for golden in bundle.golden()]
    features = next((one.shape[1:] for one in ids if one.size), None)
    if features is None:
        raise UsageError(f"{bundle.path}: no golden vector in it to run")
    ids = [one.reshape(-1, *features) for one in ids]  # that of an empty text is [], whatever the model takes
    return {f"forward_{length}": batch(ids, length) for length in bundle.lengths}


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """The Python of a virtual environment with these packages; one that is there already is taken as it is."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        return python
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            reason = f"no end after {INSTALL_SECONDS} s"
        else:
            if done.returncode == 0:
                continue
            reason = _reason(done.stderr or done.stdout)
        shutil.rmtree(folder, ignore_errors=True)  # else the next run would take half an environment for a whole one
        raise EdgewrightError(
            f"{' '.join(packages)}: pip cannot install them ({reason}); this check needs a package index and "
            f"a Python up to 3.11"
        )
    return python


def run(python: Path, model: Path, inputs: dict[str, np.ndarray]) -> tuple[OldRun, dict[str, Any]]:
    """One file in a process of its own, and the versions that this process named."""
    with tempfile.TemporaryDirectory() as folder:
        # relative names, so that no message of the runtime holds a path of this machine
        shutil.copyfile(model, Path(folder) / model.name)
        np.savez(Path(folder) / "inputs.npz", **inputs)  # type: ignore[arg-type]  # numpy's own annotation
        command = [str(python.absolute()), "-I", str(WORKER), model.name, "inputs.npz", "outputs.npz"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS)
            answer = _answer(done)
        except subprocess.TimeoutExpired:
            answer = {"error": f"no answer after {RUN_SECONDS} s"}
        figures = _compared(Path(folder) / "outputs.npz", load("litert", model), inputs) if answer.get("runs") else {}
    reached = {step: bool(answer.get(step)) for step in ("imports", "loads", "runs")}
    old = OldRun(model.name, model.stat().st_size, sha256(model), **reached, **figures, error=answer.get("error"))
    return old, answer


def _answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    ended = f"ended by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return {"error": f"the process {ended}: {_reason(done.stderr)}"}


def _compared(outputs: Path, here: Runner, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    differences, largest, same = [], [], []
    with np.load(outputs, allow_pickle=False) as old:
        for signature, ids in inputs.items():
            new = np.concatenate([here.run(row[None])[0] for row in ids])
            differences.append(np.abs(old[signature] - new).max())
            largest.append(np.abs(new).max())
            same.append(old[signature].argmax(axis=1) == new.argmax(axis=1))
    agreed = np.concatenate(same)
    return {
        "calls": len(agreed),
        "max_abs_difference": float(max(differences)),
        "largest_logit": float(max(largest)),
        "label_agreement": float(agreed.mean()),
    }


def _environment(asked: tuple[str, ...], runs: Sequence[tuple[OldRun, dict[str, Any]]]) -> Environment:
    said = next((answer for _, answer in runs if "python" in answer), {})
    versions = (said.get("python"), said.get("tflite-runtime"), said.get("numpy"))
    return Environment(asked, *versions, files=tuple(old for old, _ in runs))


def _reason(output: str) -> str:
    """pip's last error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]


def record(bundle: bundles.Bundle, environments: Sequence[Environment]) -> dict[str, Any]:
    """What is written: figures and versions, no text and no path."""
    return {
        "schema": 1,
        "kind": "old_tflite",
        "subject": bundle.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "signatures": [f"forward_{length}" for length in bundle.lengths],
        "environments": [asdict(one) for one in environments],
        "machine": asdict(fingerprint()),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edgewright.benchmarks.old_tflite", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder, or the name of a zoo bundle: golden vectors, files")
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="more .tflite files of the same model")
    parser.add_argument("--out", type=Path, required=True, help="the JSON record")
    parser.add_argument("--venv", type=Path, help="keep the environments in this folder; else they are removed")
    given = parser.parse_args(arguments)
    try:
        bundle = bundles.read(bundles.find(given.bundle))
        with tempfile.TemporaryDirectory() as temporary:
            environments = check(bundle, given.files, given.venv or Path(temporary))
        write_json(given.out, record(bundle, environments))
    except EdgewrightError as error:
        print(f"edgewright: {error}", file=sys.stderr)
        return error.exit_code
    for one in environments:
        print(f"tflite-runtime {one.tflite_runtime}, NumPy {one.numpy}, Python {one.python}")
        for old in one.files:
            print(f"  {old.file:<34} {_line(old)}")
    return 0


def _line(old: OldRun) -> str:
    if old.error is not None or old.max_abs_difference is None:
        reached = "runs" if old.runs else "loads" if old.loads else "imports" if old.imports else "does not import"
        return f"{reached}; {old.error}"
    return (
        f"{'runs' if old.label_agreement == 1 else 'runs, but answers wrong'}; {old.calls} calls, labels equal "
        f"{old.label_agreement:.3f}, "
        f"logits differ by at most {old.max_abs_difference:.2g} of {old.largest_logit:.3g}"
    )


if __name__ == "__main__":
    sys.exit(main())
