"""A bundle on a file of labelled rows: accuracy, agreement with PyTorch and out-of-scope figures of each artifact."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks import accuracy, parity
from edgewright.data.rows import read_rows
from edgewright.data.tasks import Task
from edgewright.errors import UsageError
from edgewright.models import checkpoint
from edgewright.pipeline import learn
from edgewright.pipeline.examples import Examples, Words, from_rows, require_labels
from edgewright.pipeline.progress import Reporter
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle, BundleArtifact
from edgewright.runtimes.pytorch import PyTorchRunner

TARGETS = ("executorch", "litert", "coreml", "onnx")


def evaluate(path: Path, data: Path, runtime: str, reporter: Reporter) -> list[dict[str, Any]]:
    """One record an artifact: runtime, numerics, n, accuracy, macro_f1, label_agreement, and out_of_scope, or for
    tags span_f1 and by_source.

    label_agreement is with the bundle's own float PyTorch model, over all rows; None where the bundle holds none.

    Raises:
        UsageError: `runtime` is neither "all" nor one that the bundle has an artifact for.
        DataError: the rows; an unknown label is named with its row.
    """
    bundle = bundles.read(path)
    require_labels(bundle.kind, "evaluate")
    rows = read_labelled(bundle, data)
    tokenizer = bundle.tokenizer()
    reference = None
    if (float_model := bundle.reference()) is not None:
        runner = PyTorchRunner(checkpoint.load_model(float_model))
        reference = learn.all_answers(rows.texts, tokenizer, bundle.lengths, runner, reporter, "pytorch")
    answers = []
    for artifact in chosen(bundle, runtime):
        title = f"{artifact.target} {artifact.numerics}"
        runner_of = bundle.runner(artifact)
        logits = learn.all_answers(rows.texts, tokenizer, bundle.lengths, runner_of, reporter, title)
        answers.append(
            {
                "runtime": artifact.target,
                "numerics": artifact.numerics,
                **_figures(bundle, rows, logits),
                "label_agreement": parity.compare(logits, reference).label_agreement if reference is not None else None,
            }
        )
    return answers


def _figures(bundle: Bundle, rows: Examples, logits: np.ndarray) -> dict[str, Any]:
    if bundle.kind == "tags":
        tagged = accuracy.evaluate_tags(logits, rows.labels, rows.counts, bundle.labels, bundle.decoding(), rows.groups)
        figures = {"accuracy": tagged.accuracy, "macro_f1": tagged.macro_f1, "span_f1": tagged.span_f1}
        return {"n": len(rows.texts), **figures, "by_source": tagged.metrics["by_source"]}
    scored = accuracy.evaluate(logits, rows.labels, bundle.temperature, bundle.threshold)
    outside = asdict(scored.out_of_scope) if scored.out_of_scope else None
    return {"n": scored.n, "accuracy": scored.accuracy, "macro_f1": scored.macro_f1, "out_of_scope": outside}


def read_labelled(bundle: Bundle, data: Path) -> Examples:
    """The rows of a JSON Lines file (also .gz) with the bundle's labels."""
    task = Task(
        name=bundle.name,
        kind=bundle.manifest["task"]["kind"],
        source=bundle.manifest["data"]["source"],
        labels=bundle.labels,
        reject_label=bundle.reject_label,
    )
    tokenizer = bundle.tokenizer()
    words = Words(tokenizer.normalisation, bundle.lengths[-1] if tokenizer.window is None else None)
    return from_rows(list(read_rows(data, task.kind)), task, bundle.labels, words)


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
