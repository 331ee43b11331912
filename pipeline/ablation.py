"""What each step of a recipe did to the exported artifact, to accuracy, and what it made worse.

Nothing is judged here by a gate: a step that costs more than it gives is said, and its artifact is not recommended.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from edgewright.benchmarks import intervals
from edgewright.benchmarks.record import Cell, Interval, Paired, StepResult, surely_more
from edgewright.data.files import read_json
from edgewright.data.tasks import Task
from edgewright.export import bundle as bundles
from edgewright.pipeline import cells, compression, examples, timing
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.stages import Plan
from edgewright.pipeline.zeros import Zeros, lines_of

FASTER = "prune"  # the step that promises speed


def steps(plan: Plan) -> tuple[StepResult, ...]:
    """One result for each step and cell; none without --ablate."""
    if plan.ablation is None:
        return ()
    timed = timing.read_timings(plan.graph.folder(plan.ablation))["cells"]
    found = []
    for name, branch in plan.branches.items():
        learnt = plan.learnt_by(name)
        tokenizer = bundles.tokenizer_bytes(learnt.tokenizer / "tokenizer.json")
        for (target, numerics), stage in branch.exports.items():
            if (target, numerics) not in plan.ablated:
                continue
            artifact = cells.read_artifact(plan.graph.folder(stage), target).artifact
            checked = read_json(plan.graph.folder(branch.checks[target, numerics]) / "verify.json")
            times = timed.get(f"{name} {target} {numerics}", {})
            found.append(
                StepResult(
                    step=name,
                    target=target,
                    numerics=numerics,
                    size_bytes=artifact.size_bytes,
                    shipped_bytes=bundles.shipped_bytes(artifact.size_bytes, tokenizer, learnt.labels()),
                    accuracy=checked["accuracy"],
                    label_agreement=checked["label_agreement"],
                    p50_ms=_interval(times, "p50_ms"),
                    text_to_label_p50_ms=_interval(times, "text_to_label_p50_ms"),
                    metrics={"span_f1": checked["span_f1"]} if checked["span_f1"] is not None else {},
                )
            )
    return tuple(found)


def paired(recipe: Recipe, task: Task, effort: Effort, plan: Plan) -> tuple[Paired, ...]:
    """The recipe's last step against each one before it (with --ablate), and against its teachers; on test rows."""
    if task.kind != "single_label":
        return ()
    test = examples.load(recipe, task, "test", plan.learnt().labels(), effort).in_scope()
    names = list(plan.branches)
    correct = {name: _correct(plan.learnt_by(name), test.labels) for name in names}
    others = dict(list(correct.items())[:-1])
    others |= {name: _correct(learnt, test.labels) for name, learnt in plan.teachers.items()}
    last = names[-1]
    return tuple(_paired(last, correct[last], name, found) for name, found in others.items())


def _paired(model: str, correct: np.ndarray, against: str, other: np.ndarray) -> Paired:
    """Each (seeds, N) bool."""
    return Paired(
        model,
        against,
        float(correct.mean()),
        float(other.mean()),
        intervals.paired(correct.mean(axis=0), other.mean(axis=0)),
        len(correct),
        len(other),
    )


def _correct(learnt: Learnt, labels: np.ndarray) -> np.ndarray:
    """(seeds, N) whether the model of each seed gets each test row right."""
    arrays = learnt.logits()
    seeds = [arrays[f"seed{seed}"] for seed in learnt.figures()["test"]]
    return np.stack([answers == labels for answers in seeds])


def judged(found: Sequence[Cell]) -> list[Cell]:
    """The cells, each with a line where it is slower than the float32 artifact of its target."""
    floats = {cell.target: cell.p50_ms for cell in found if cell.numerics == "fp32"}
    answer = []
    for cell in found:
        plain = floats.get(cell.target)
        if cell.numerics not in ("fp32", "fp16") and surely_more(cell.p50_ms, plain):
            assert cell.p50_ms is not None and plain is not None
            slower = f"slower than fp32 on this target: {cell.p50_ms.value:.3f} against {plain.value:.3f} ms"
            cell = replace(cell, hurts=slower)
        answer.append(cell)
    return answer


def hurts(
    found: Sequence[Cell], made: Sequence[StepResult], compared: Sequence[Paired], zeros: Zeros | None = None
) -> tuple[str, ...]:
    """A line for each thing that a step or a numerics made worse, or that zeros do not give; it decides no verdict."""
    lines = [f"{cell.target} {cell.numerics} is {cell.hurts}." for cell in found if cell.hurts]
    for one in compared:
        high = one.difference.high
        if one.against in compression.ORDER and high is not None and high < 0:
            lines.append(
                f"{one.model} is less accurate than {one.against} alone: {100 * one.difference.value:+.1f} points "
                f"[{100 * (one.difference.low or 0):+.1f}, {100 * high:+.1f}] on the test split."
            )
    pairs = _pruned(made)
    if zeros is not None:
        lines += lines_of(zeros, pairs)
    for (target, numerics), (earlier, result) in pairs.items():
        if zeros is None or not zeros.alone:
            if result.p50_ms is None or earlier.p50_ms is None:
                continue
            if not surely_more(earlier.p50_ms, result.p50_ms):
                lines.append(
                    f"Pruning did not make {target} {numerics} faster: {result.p50_ms.value:.3f} ms, before "
                    f"{earlier.p50_ms.value:.3f} ms."
                )
            if result.size_bytes >= earlier.size_bytes:
                lines.append(
                    f"Pruning did not make {target} {numerics} smaller: {result.size_bytes:,} bytes, before "
                    f"{earlier.size_bytes:,}."
                )
    return tuple(lines)


def _pruned(made: Sequence[StepResult]) -> dict[tuple[str, str], tuple[StepResult, StepResult]]:
    """By target and numerics what the step before pruning gave, and what pruning did."""
    names = list(dict.fromkeys(result.step for result in made))
    of = {(result.step, result.target, result.numerics): result for result in made}
    before = next((earlier for earlier, name in pairwise(names) if name == FASTER), None)
    return {
        (target, numerics): (of[before, target, numerics], result)
        for (step, target, numerics), result in of.items()
        if step == FASTER and before is not None and (before, target, numerics) in of
    }


def _interval(timed: dict[str, Any], name: str) -> Interval | None:
    return Interval(**timed[name]) if timed.get(name) else None
