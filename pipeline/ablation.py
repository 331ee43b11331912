"""What each step of a recipe did to the exported artifact, to accuracy, and what it made worse.

Nothing is judged here by a gate: a step that costs more than it gives is said, and its artifact is not recommended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from edgewright.benchmarks import intervals
from edgewright.benchmarks.record import Cell, Interval, Paired, Recommended, StepResult, surely_more
from edgewright.compress.numerics import Numerics, Target
from edgewright.data.files import read_json
from edgewright.data.tasks import Task
from edgewright.export import bundle as bundles
from edgewright.pipeline import cells, compression, examples, timing
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.stages import Plan
from edgewright.pipeline.zeros import Zeros, lines_of

FASTER = "prune"  # the step that promises speed or bytes
MORE_ACCURATE = "distill"  # the step that promises accuracy, over the plain student of the step before it
SMALLER = 0.99  # of the bytes before it: what saves less than one in a hundred saves nothing


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
    """On test rows the recipe's last step against its teachers and, with --ablate, against each step before it; and
    each of these against the one before."""
    if task.kind != "single_label":
        return ()
    test = examples.load(recipe, task, "test", plan.learnt().labels(), effort).in_scope()
    names = list(plan.branches)
    correct = {name: _correct(plan.learnt_by(name), test.labels) for name in names}
    others = dict(list(correct.items())[:-1])
    others |= {name: _correct(learnt, test.labels) for name, learnt in plan.teachers.items()}
    last = names[-1]
    pairs = [_paired(last, correct[last], name, found) for name, found in others.items()]
    pairs += [_paired(name, correct[name], before, correct[before]) for before, name in pairwise(names[:-1])]
    return tuple(pairs)


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
    pairs = _beside(made, FASTER)
    if zeros is not None:
        lines += lines_of(zeros, pairs)
    for (target, numerics), (earlier, result) in pairs.items():
        if zeros is None or not zeros.alone:
            if result.p50_ms is None or earlier.p50_ms is None:
                continue
            if not surely_more(earlier.p50_ms, result.p50_ms):
                surely = "surely " if result.p50_ms.value < earlier.p50_ms.value else ""  # within the intervals
                lines.append(
                    f"Pruning did not {surely}make {target} {numerics} faster: {result.p50_ms.value:.3f} ms, before "
                    f"{earlier.p50_ms.value:.3f} ms."
                )
            if not _smaller(result, earlier):
                lines.append(
                    f"Pruning did not make {target} {numerics} smaller: {result.size_bytes:,} bytes, before "
                    f"{earlier.size_bytes:,}."
                )
    return tuple(lines)


def recommended(
    last: str,
    found: Sequence[Cell],
    made: Sequence[StepResult],
    compared: Sequence[Paired],
    ship: Mapping[Target, Numerics],
) -> Recommended:
    """What to take: of each target the artifact that the recipe names, or else the smallest, of those that pass and are
    not slower than float32; but none where a step behind training made the models worse.

    last: the recipe's last step. ship: of the recipe.
    """
    if worse := _worse_steps(made, compared):
        names = list(dict.fromkeys(result.step for result in made))
        best = names[min(names.index(name) for name in worse) - 1]
        return Recommended(best, (), tuple(worse), tuple(worse.values()))
    artifacts = []
    for target in dict.fromkeys(cell.target for cell in found):
        fit = [cell for cell in found if cell.target == target and cell.verdict == "pass" and not cell.hurts]
        named = ship.get(target)  # type: ignore[call-overload]  # a cell's target is a plain str
        fit.sort(key=lambda cell: (cell.numerics != named, cell.shipped_bytes or 0))
        artifacts += [f"{cell.target} {cell.numerics}" for cell in fit[:1]]
    return Recommended(last, tuple(artifacts))


def _worse_steps(made: Sequence[StepResult], compared: Sequence[Paired]) -> dict[str, str]:
    """Why a step shall be left out of the recipe, by its name, in their order: a distilled student that is surely less
    accurate than the plain one, and pruning that made no artifact smaller or surely faster."""
    found = {}
    for before, name in pairwise(dict.fromkeys(result.step for result in made)):
        pairs = _beside(made, name).values()
        if name == MORE_ACCURATE:
            pair = next((one for one in compared if (one.model, one.against) == (name, before)), None)
            if pair is not None and pair.difference.high is not None and pair.difference.high < 0:
                found[name] = f"its student is less accurate than that of {before} alone, by {_points(pair)} points"
        timed = [(earlier, one) for earlier, one in pairs if one.p50_ms is not None and earlier.p50_ms is not None]
        if name == FASTER and timed:
            faster = any(surely_more(earlier.p50_ms, result.p50_ms) for earlier, result in timed)
            if not faster and not any(_smaller(result, earlier) for earlier, result in pairs):
                found[name] = f"it made none of {len(pairs)} artifacts smaller or surely faster than {before} left them"
    return found


def _points(pair: Paired) -> str:
    """ "2.0 [1.0, 3.0]": how many hundredths less."""
    low, high = pair.difference.low, pair.difference.high
    bounds = "" if low is None or high is None else f" [{-100 * high:.1f}, {-100 * low:.1f}]"
    return f"{-100 * pair.difference.value:.1f}{bounds}"


def _smaller(one: StepResult, other: StepResult) -> bool:
    return one.size_bytes < SMALLER * other.size_bytes


def _beside(made: Sequence[StepResult], name: str) -> dict[tuple[str, str], tuple[StepResult, StepResult]]:
    """By target and numerics what the step before `name` gave, and what `name` did."""
    names = list(dict.fromkeys(result.step for result in made))
    of = {(result.step, result.target, result.numerics): result for result in made}
    before = next((earlier for earlier, later in pairwise(names) if later == name), None)
    return {
        (target, numerics): (of[before, target, numerics], result)
        for (step, target, numerics), result in of.items()
        if step == name and before is not None and (before, target, numerics) in of
    }


def _interval(timed: dict[str, Any], name: str) -> Interval | None:
    return Interval(**timed[name]) if timed.get(name) else None
