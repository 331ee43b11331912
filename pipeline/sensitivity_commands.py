"""`edgewright sensitivity`: which layer of a recipe's model can be stored in how few bits."""

import datetime
from pathlib import Path

import numpy as np

from edgewright.benchmarks import sensitivity_record
from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.reports import sensitivity_report
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.compress import sensitivity
from edgewright.data import sources
from edgewright.data.files import read_json, write_json, write_text
from edgewright.errors import UsageError
from edgewright.pipeline import compression, examples
from edgewright.pipeline.commands import make
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.run import Prepared
from edgewright.train.labels import predict

NUMERICS = "dynamic_wi4_afp32"  # in which single layers may have 8 bits
ON_GRID = "qat"  # the step whose models lie on the grid already: of them nothing is left to lose


def measure(
    prepared: Prepared, most_drop: float, asked: str | None, out: Path | None, reporter: Reporter
) -> SensitivityRecord:
    """Make the model of a step, put each layer on the grid alone and all together, and write the report to `out`.

    Args:
        prepared: with every step (ablate=True).
        most_drop: points of accuracy (hundredths) that the chosen bits may cost on validation.
        asked: a step of the recipe; None: the last one before training on the grid.

    Raises:
        UsageError: the task has no single labels, the recipe no such step, or `most_drop` is no number of points.
    """
    recipe, task = prepared.recipe, prepared.task
    if task.kind != "single_label":
        raise UsageError(f"edgewright sensitivity is for tasks with one label a text; this is of kind '{task.kind}'")
    if not 0 <= most_drop <= 100:
        raise UsageError(f"--max-drop: must be 0 to 100 points of accuracy, not {most_drop:g}")
    step = step_of(list(prepared.plan.branches), asked)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written is told before the work
    make(prepared, {prepared.plan.branches[step].step.reference.title}, reporter)
    learnt = prepared.plan.learnt_by(step)
    validation = examples.load(recipe, task, "validation", learnt.labels(), prepared.effort)
    rows = examples.dataset(validation, learnt.words(), recipe.export.lengths[-1], task.kind)
    found = sensitivity.measure(
        learnt.model(),
        lambda model: np.stack(predict(model, rows)),
        np.asarray(rows.labels),
        most_drop / 100,
        recipe.quantize.embedding_scales,
    )
    source = sources.find(task.source)
    record = SensitivityRecord(
        recipe=recipe.name,
        task=task.name,
        step=step,
        seed=learnt.figures()["seed"],
        effort=prepared.effort,
        numerics=NUMERICS,
        max_drop=most_drop / 100,
        float_accuracy=found.float_accuracy,
        rows=found.rows,
        costs=found.costs,
        choices=found.choices,
        all_eight=found.all_eight,
        quantize=found.precision,
        data=source.name,
        data_fingerprint=read_json(learnt.data / "data.json")["fingerprint"],
        generated=source.generated,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=fingerprint(),
    )
    if out is not None:
        write_json(out / "sensitivity.json", sensitivity_record.to_json(record))
        write_text(out / "sensitivity.md", sensitivity_report.markdown(record))
        write_text(out / "sensitivity.html", sensitivity_report.html(record))
    return record


def step_of(names: list[str], asked: str | None) -> str:
    """The step to look at, of those that the recipe has, in order.

    Raises:
        UsageError: `asked` is no step, or not one of the recipe's.
    """
    if asked is None:
        return next(name for name in reversed(names) if name != ON_GRID)
    if asked not in compression.ORDER:
        raise UsageError(f"--step: '{asked}' is none of {', '.join(compression.ORDER)}")
    if asked not in names:
        raise UsageError(f"--step {asked}: the recipe has no table [{asked}]; its steps: {', '.join(names)}")
    return asked
