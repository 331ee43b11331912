"""A bundle on a file of labelled rows: accuracy, agreement with PyTorch and out-of-scope figures of each artifact."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.benchmarks import accuracy, parity
from edgewright.data.rows import read_rows
from edgewright.data.tasks import Task
from edgewright.errors import UsageError
from edgewright.models import checkpoint
from edgewright.pipeline import learn
from edgewright.pipeline.progress import Reporter
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle, BundleArtifact
from edgewright.runtimes.pytorch import PyTorchRunner

TARGETS = ("executorch", "litert", "coreml", "onnx")


def evaluate(path: Path, data: Path, runtime: str, reporter: Reporter) -> list[dict[str, Any]]:
    """One record an artifact: runtime, numerics, n, accuracy, macro_f1, label_agreement, out_of_scope.

    label_agreement is with the bundle's own float PyTorch model, over all rows; None where the bundle holds none.

    Raises:
        UsageError: `runtime` is neither "all" nor one that the bundle has an artifact for.
        DataError: the rows; an unknown label is named with its row.
    """
    bundle = bundles.read(path)
    rows = read_labelled(bundle, data)
    tokenizer = bundle.tokenizer()
    reference = None
    if (float_model := bundle.reference()) is not None:
        runner = PyTorchRunner(checkpoint.load_model(float_model))
        reference = learn.all_logits(rows.texts, tokenizer, bundle.lengths, runner, reporter, "pytorch")
    answers = []
    for artifact in chosen(bundle, runtime):
        title = f"{artifact.target} {artifact.numerics}"
        runner_of = bundle.runner(artifact)
        logits = learn.all_logits(rows.texts, tokenizer, bundle.lengths, runner_of, reporter, title)
        scored = accuracy.evaluate(logits, rows.labels, bundle.temperature, bundle.threshold)
        answers.append(
            {
                "runtime": artifact.target,
                "numerics": artifact.numerics,
                "n": scored.n,
                "accuracy": scored.accuracy,
                "macro_f1": scored.macro_f1,
                "label_agreement": parity.compare(logits, reference).label_agreement if reference is not None else None,
                "out_of_scope": asdict(scored.out_of_scope) if scored.out_of_scope else None,
            }
        )
    return answers


def read_labelled(bundle: Bundle, data: Path) -> learn.Labelled:
    """The rows of a JSON Lines file (also .gz) with the bundle's labels."""
    task = Task(
        name=bundle.name,
        kind=bundle.manifest["task"]["kind"],
        source=bundle.manifest["data"]["source"],
        labels=bundle.labels,
        reject_label=bundle.reject_label,
    )
    return learn.labelled(list(read_rows(data, task.kind)), task, bundle.labels, "normal")


def chosen(bundle: Bundle, runtime: str) -> Sequence[BundleArtifact]:
    """The artifacts of one runtime, or of "all"."""
    if runtime == "all":
        return bundle.artifacts
    if runtime not in TARGETS:
        raise UsageError(f"unknown runtime '{runtime}'; all or one of {', '.join(TARGETS)}")
    found = [artifact for artifact in bundle.artifacts if artifact.target == runtime]
    if not found:
        have = ", ".join(sorted({artifact.target for artifact in bundle.artifacts}))
        raise UsageError(f"{bundle.path}: no artifact for {runtime}; it has {have}")
    return found
