"""What the smaller commands do; `edgewright run` is pipeline/run.py."""

import shutil
from pathlib import Path
from typing import Any

import edgewright
from edgewright.benchmarks import bisection, machine
from edgewright.compress.numerics import NUMERICS, SUPPORT, TARGETS
from edgewright.compress.quantize import quantize
from edgewright.data.files import write_atomically
from edgewright.errors import UsageError
from edgewright.export import state_package
from edgewright.export.artifact import to_json as artifact_json
from edgewright.models import MODELS, checkpoint, parameters
from edgewright.pipeline import cells, examples
from edgewright.pipeline.extras import missing
from edgewright.pipeline.graph import Step
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.run import Prepared
from edgewright.runtimes import load
from edgewright.runtimes.answers import pad_to_bucket

BISECT_TEXTS = 64


def train(prepared: Prepared, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Make the stages up to the reference, and copy model and tokenizer to `out`."""
    plan = prepared.plan
    make(prepared, {plan.reference.title}, reporter)
    learnt = plan.learnt()
    if plan.graph.follower:
        return learnt.figures()
    for source in (learnt.reference / "model.safetensors", learnt.tokenizer / "tokenizer.json"):
        if source.exists():  # a model of log lines has no tokenizer
            _copy(source, out / source.name)
    tokenizer = out / "tokenizer.json"
    return {
        "model": str(out / "model.safetensors"),
        "tokenizer": str(tokenizer) if tokenizer.exists() else None,
        **learnt.figures(),
    }


def export(prepared: Prepared, out: Path, reporter: Reporter) -> list[dict[str, Any]]:
    """Make the artifacts, and copy them to `out`."""
    plan = prepared.plan
    make(prepared, {stage.title for stage in plan.exports.values()}, reporter)
    answers = []
    for (target, _), stage in plan.exports.items():
        artifact = cells.read_artifact(plan.graph.folder(stage), target).artifact
        _copy(artifact.path, out / artifact.path.name)
        answers.append(artifact_json(artifact) | {"file": str(out / artifact.path.name)})
        if package := state_package.beside(artifact.path):
            kept = package.artifact
            _copy(kept.path, out / kept.path.name)
            answers.append(artifact_json(kept) | {"file": str(out / kept.path.name), "state": "inside"})
    return answers


def bisect(prepared: Prepared, target: str, numerics: str, reporter: Reporter) -> list[dict[str, Any]]:
    """Where an artifact leaves PyTorch's answers, on some test texts.

    Raises:
        UsageError: the recipe's run has no such cell, or its task has no labels.
    """
    examples.require_labels(prepared.task.kind, "bisect")
    plan = prepared.plan
    key = next((cell for cell in plan.exports if cell == (target, numerics)), None)
    if key is None:
        have = ", ".join(f"{one} {other}" for one, other in plan.exports)
        raise UsageError(f"the recipe makes no {target} {numerics}; it makes {have}")
    make(prepared, {plan.exports[key].title}, reporter)
    learnt = plan.learnt()
    words = learnt.words()
    rows = examples.load(prepared.recipe, prepared.task, "test", learnt.labels(), "rapid")
    lengths = prepared.recipe.export.lengths
    inputs = [pad_to_bucket(words.encode(text, limit=lengths[-1]), lengths) for text in rows.texts[:BISECT_TEXTS]]
    model = checkpoint.load_model(learnt.reference / "model.safetensors")
    artifact = cells.read_artifact(plan.graph.folder(plan.exports[key]), key[0]).artifact
    return bisection.bisect(
        model, quantize(model, key[1], cells.precision_of(prepared.recipe)), load(key[0], artifact.path), key[0], inputs
    )


def models() -> list[dict[str, Any]]:
    """Each family with its parameters at the default config, and the formats of its exports."""
    return [
        {"name": name, "parameters": parameters(family.module(family.config())), "formats": list(TARGETS)}
        for name, family in MODELS.items()
    ]


def doctor() -> dict[str, Any]:
    """What is installed, and which numerics each target can take."""
    return {
        "edgewright": edgewright.__version__,
        "versions": machine.versions(),
        "targets": {
            target: {"ready": not missing(target), "missing": missing(target), "install": f"edgewright[{target}]"}
            for target in TARGETS
        },
        "numerics": {
            numerics: {
                target: {"supported": SUPPORT[numerics, target].supported, "note": SUPPORT[numerics, target].note}
                for target in TARGETS
            }
            for numerics in NUMERICS
        },
    }


def doctor_lines(answer: dict[str, Any]) -> list[str]:
    """The answer of `doctor` as a person reads it."""
    lines = [f"edgewright {answer['edgewright']}"]
    for target, state in answer["targets"].items():
        lines.append(
            f"{target:<11} ready"
            if state["ready"]
            else f"{target:<11} lacks {', '.join(state['missing'])}: pip install '{state['install']}'"
        )
    lines += ["", " " * 22 + "".join(f"{target:<12}" for target in TARGETS)]
    notes = []
    for numerics, targets in answer["numerics"].items():
        marks = "".join(f"{'yes' if targets[target]['supported'] else '–':<12}" for target in TARGETS)
        lines.append(f"{numerics:<22}{marks}")
        notes += [f"{numerics}, {target}: {cell['note']}" for target, cell in targets.items() if cell["note"]]
    return [*lines, "", *notes]


def make(prepared: Prepared, names: set[str], reporter: Reporter) -> None:
    """Make the stages of these titles, and what they need."""

    def told(step: Step) -> None:
        reporter.say(f"{'reuse' if step.cached else 'make '} {step.stage.title}  ({step.reason})")

    prepared.plan.graph.run(progress=told, only=names)


def _copy(source: Path, path: Path) -> None:
    def write(scratch: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, scratch)
        else:
            shutil.copyfile(source, scratch)

    write_atomically(path, write)
