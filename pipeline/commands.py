"""What the smaller commands do; `edgewright run` is pipeline/run.py."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

import edgewright
from edgewright.benchmarks import bench_record, bisection, family_record, machine
from edgewright.benchmarks.record import from_json, to_json
from edgewright.benchmarks.reports import bench_report, run_report
from edgewright.benchmarks.reports.run_report import Details
from edgewright.compress.numerics import NUMERICS, SUPPORT, TARGETS
from edgewright.compress.quantize import quantize
from edgewright.data.files import read_json, write_atomically, write_text
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
RECORDS = ("record.json", "bench.json", "peers.json", "families.json")  # what a folder of results may hold


@dataclass(frozen=True)
class Shown:
    """A record as JSON values and as tables."""

    record: dict[str, Any]
    tables: list[Table]


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


def report(record: Path, out: Path | None) -> Shown:
    """A record that was written by `run`, `bench`, `peers` or `families`, rendered again; HTML holds no texts then.

    record: the file, or the folder that holds one of RECORDS.

    Raises:
        DamagedFileError: it is no record. UsageError: the folder holds none, or several; `out` is neither .html nor
            .md, or .html of families, which have no page.
    """
    if out is not None and out.suffix not in (".html", ".md"):
        raise UsageError(f"--out {out}: the name must end in .html or .md")
    if record.is_dir():
        record = _record_in(record)
    given = read_json(record)
    if isinstance(given, dict) and given.get("kind") == "comparison":
        raise UsageError(f"{record}: is a comparison, whose page edgewright compare --out writes; give a record")
    if isinstance(given, dict) and "rows" in given and "cells" not in given:
        families = family_record.from_json(given, str(record))
        if out is not None:
            if out.suffix == ".html":
                raise UsageError(f"--out {out}: the record of families has no page; give a name that ends in .md")
            write_text(out, family_record.markdown(families))
        return Shown(family_record.to_json(families), list(family_record.console(families)))
    if isinstance(given, dict) and "kind" in given and "cells" not in given:  # of a run, the kind is its task's
        bench = bench_record.from_json(given, str(record))
        if out is not None:
            write_text(out, bench_report.html(bench) if out.suffix == ".html" else bench_report.markdown(bench))
        return Shown(bench_record.to_json(bench), list(bench_report.console(bench)))
    found = from_json(given, str(record))
    if out is not None:
        labels = tuple(next((cell.metrics.get("per_class", {}) for cell in found.cells if cell.metrics), {}))
        page = run_report.html(found, Details(labels)) if out.suffix == ".html" else run_report.markdown(found)
        write_text(out, page)
    return Shown(to_json(found), [run_report.console(found)])


def _record_in(folder: Path) -> Path:
    found = [folder / name for name in RECORDS if (folder / name).exists()]
    if len(found) != 1:
        have = f"holds {' and '.join(path.name for path in found)}" if found else f"holds none of {', '.join(RECORDS)}"
        raise UsageError(f"{folder}: {have}; give the file of one record")
    return found[0]


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
