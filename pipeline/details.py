"""What the page of a run shows of labels and tags beyond its record: the confusion matrix, and texts that differ."""

from pathlib import Path

import numpy as np

from edgewright.benchmarks.reports.run_report import Details, Difference
from edgewright.compress.numerics import Numerics, Target
from edgewright.data.files import read_json
from edgewright.data.tasks import Task
from edgewright.pipeline import examples
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.train.metrics import REJECT

DIFFERENCES = 10


def label_details(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    learnt: Learnt,
    checks: dict[tuple[Target, Numerics], Path],
    shown: tuple[Target, Numerics],
) -> Details:
    """The confusion matrix of the cell `shown`, and the texts on which artifacts and PyTorch differ most.

    checks: the folder that `verify` filled, of each cell.
    """
    labels = learnt.labels()
    test = examples.load(recipe, task, "test", labels, effort)
    owners, reference = test.owners, learnt.logits()["test"]
    found: list[Difference] = []
    for (target, numerics), folder in checks.items():
        with np.load(folder / "logits.npz", allow_pickle=False) as arrays:
            logits = arrays["test"]
        for row in read_json(folder / "verify.json")["worst"]:
            label = test.labels[row]
            found.append(
                Difference(
                    artifact=f"{target} {numerics}",
                    row=test.numbers[owners[row]],
                    text=test.texts[owners[row]],
                    label=task.reject_label or "" if label == REJECT else labels[label],
                    pytorch=labels[int(reference[row].argmax())],
                    answer=labels[int(logits[row].argmax())],
                    max_abs_logit_error=float(np.abs(logits[row] - reference[row]).max()),
                )
            )
    # rows where the label itself changed tell more than a larger error that changed nothing
    found.sort(key=lambda one: (one.pytorch == one.answer, -one.max_abs_logit_error))
    return Details(
        labels=tuple(labels),
        confusion=np.array(read_json(checks[shown] / "verify.json")["confusion"]),
        confusion_of=" ".join(shown),
        differences=tuple(found[:DIFFERENCES]),
    )
