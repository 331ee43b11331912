"""The stages of a task of kind "sequence" that need the machine for themselves, and its baselines."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.empty_graph import empty_jobs
from edgewright.benchmarks.job_files import write_inputs
from edgewright.benchmarks.latency import Job, measure, write_raw
from edgewright.benchmarks.record import Baseline, Interval
from edgewright.data.files import write_json
from edgewright.data.tasks import Task
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.sequences import subject_in
from edgewright.pipeline.timing import NOT_TIMED, Made, cell_times

TIMED_STEPS = 256
TIMED_ROWS = 16


def make_timings(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    learnt: Learnt,
    made: Sequence[Made],
    baselines: Path,
    folder: Path,
    reporter: Reporter,
) -> None:
    """timings.json: of each cell that can be timed here the p50 of `step` (p50_ms), load time and memory, and among
    its metrics the p50 of `forward` at the largest bucket (sequence_p50_ms); for PyTorch its step. samples.npz: every
    sample."""
    subject, longest = subject_in(recipe, task, learnt.tokenizer), recipe.export.lengths[-1]
    size = learnt.model().config.hidden_size
    state = (np.zeros((1, size), np.float32),) * 2
    steps = [(x[None], *state) for x in subject.sequence("test", TIMED_STEPS)]
    rows = subject.held_out("test", longest, TIMED_ROWS)
    wholes = [(rows.inputs(np.array([row])),) for row in range(len(rows))]
    step_inputs = write_inputs({"inference": steps}, folder / "steps.npz")
    whole_inputs = write_inputs({"inference": wholes}, folder / "sequences.npz")

    timed = [cell for cell in made if cell.target not in NOT_TIMED]
    jobs = [Job(f"step {one.name}", one.target, one.artifact, step_inputs, method="step") for one in timed]
    jobs += [Job(f"sequence {one.name}", one.target, one.artifact, whole_inputs) for one in timed]
    checkpoint = learnt.reference / "model.safetensors"
    jobs.append(Job("step pytorch", "pytorch", checkpoint, step_inputs, method="step"))
    empty = empty_jobs({cell.target for cell in timed}, folder)
    jobs += empty.values()
    with reporter.bar("latency, blocks in turn", 1) as bar:
        taken = measure(jobs, effort, lambda done, total: bar.update(done, total=total))
    write_raw(taken, folder / "samples.npz")

    by_name = {job.name: job for job in jobs}
    answer: dict[str, Any] = {
        "cells": {},
        "pytorch_p50_ms": asdict(taken["step pytorch"]["inference"].series.p50_ms),
        "baselines": {},
    }
    with reporter.bar("load time and memory", len(timed)) as bar:
        for number, cell in enumerate(timed, start=1):
            job = by_name[f"step {cell.name}"]
            whole = taken[f"sequence {cell.name}"]["inference"].series
            answer["cells"][cell.name] = cell_times(cell, job, empty[cell.target], taken, effort) | {
                "metrics": {"sequence_p50_ms": asdict(whole.p50_ms), "sequence_length": longest},
            }
            bar.update(number, cell.name)
    step_inputs.unlink()  # the rows of a data set stay out of what is kept
    whole_inputs.unlink()
    write_json(folder / "timings.json", answer)


def make_baselines(
    recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, folder: Path, reporter: Reporter
) -> None:
    """baselines.json: of log lines, how anomalous each is on its own, without a model; of text, how often characters
    follow each other in the training text."""
    found = [
        {"name": name, "metrics": metrics, "note": note}
        for name, metrics, note in subject_in(recipe, task, learnt.tokenizer).baselines(
            recipe.export.lengths[-1], effort
        )
    ]
    write_json(folder / "baselines.json", found)


def pytorch_baseline(recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, timings: dict[str, Any]) -> Baseline:
    """The float model itself, evaluated on the same rows; its time is that of a step."""
    figures = learnt.figures()
    seeds = figures["test"]
    note = "eager, one thread"
    if len(seeds) > 1:
        values = ", ".join(f"{value:.4f}" for value in seeds.values())
        note += f"; on test the seeds {', '.join(seeds)} have {values}"
    return Baseline(
        "PyTorch fp32",
        size_bytes=(learnt.reference / "model.safetensors").stat().st_size,
        p50_ms=Interval(**timings["pytorch_p50_ms"]),
        note=note,
        metrics=figures["figures"],
    )
