"""`edgewright sensitivity`: which layer of a recipe's model can be stored in how few bits."""

from pathlib import Path

import numpy as np

from edgewright.benchmarks.reports import sensitivity_report
from edgewright.compress import sensitivity
from edgewright.compress.sensitivity import Sensitivity
from edgewright.data.files import write_json, write_text
from edgewright.errors import UsageError
from edgewright.pipeline import examples
from edgewright.pipeline.commands import make
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.run import Prepared
from edgewright.train.labels import predict


def measure(prepared: Prepared, most_drop: float, out: Path | None, reporter: Reporter) -> Sensitivity:
    """Make the recipe's model, put each layer on the grid alone and all together, and write the report to `out`.

    Args:
        most_drop: points of accuracy (hundredths) that the chosen bits may cost on validation.

    Raises:
        UsageError: the task has no single labels.
    """
    recipe, task = prepared.recipe, prepared.task
    if task.kind != "single_label":
        raise UsageError(f"edgewright sensitivity is for tasks with one label a text; this is of kind '{task.kind}'")
    make(prepared, {prepared.plan.reference.title}, reporter)
    learnt = prepared.plan.learnt()
    validation = examples.load(recipe, task, "validation", learnt.labels(), prepared.effort)
    rows = examples.dataset(validation, learnt.words(), recipe.export.lengths[-1], task.kind)
    found = sensitivity.measure(
        learnt.model(),
        lambda model: np.stack(predict(model, rows)),
        np.asarray(rows.labels),
        most_drop / 100,
        recipe.quantize.embedding_scales,
    )
    if out is not None:
        write_json(out / "sensitivity.json", sensitivity_report.to_json(found, recipe.name))
        write_text(out / "sensitivity.md", sensitivity_report.markdown(found, recipe.name))
        write_text(out / "sensitivity.html", sensitivity_report.html(found, recipe.name))
    return found
