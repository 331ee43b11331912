"""The stages of a task of kind "generation" that need the machine for themselves, and its baselines."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks import reply_parity, replying
from edgewright.benchmarks.empty_graph import empty_jobs
from edgewright.benchmarks.job_files import write_inputs, write_texts
from edgewright.benchmarks.latency import Job, measure, write_raw
from edgewright.benchmarks.record import Baseline, Interval
from edgewright.data.files import write_json
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import pad, special_id
from edgewright.pipeline import reply_data
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.replies import encoded, prompt_of
from edgewright.pipeline.timing import NOT_TIMED, Made, cell_times
from edgewright.runtimes.generator import RunnerSteps, shapes_of
from edgewright.runtimes.pytorch import PyTorchRunner

TIMED_PROMPTS = 16
TIMED_STEPS = 16  # of one reply; each holds all the caches
PRIOR = 10.0  # counts that the frequency of a token alone is worth beside those of a pair


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
    its metrics the p50 of `encode` at the largest bucket, and of whole replies the time to the first token and tokens a
    second; for PyTorch its step. samples.npz: every sample."""
    words, longest = reply_data.words_of(learnt), recipe.export.lengths[-1]
    pairs = reply_data.evenly(reply_data.load(task, "test"), TIMED_PROMPTS)
    prompts = [prompt_of(recipe, words, pair) for pair in pairs]
    encode_inputs = write_inputs({"inference": [(pad(ids, longest),) for ids in prompts]}, folder / "prompts.npz")
    step_inputs = write_inputs({"inference": step_calls(recipe, learnt, prompts[0])}, folder / "steps.npz")
    said = write_texts([reply_data.read_text(pair) for pair in pairs], folder / "texts.json")

    timed = [cell for cell in made if cell.target not in NOT_TIMED]
    jobs = [Job(f"step {one.name}", one.target, one.artifact, step_inputs, method="step") for one in timed]
    jobs += [Job(f"encode {one.name}", one.target, one.artifact, encode_inputs, method="encode") for one in timed]
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
    shapes = shapes_of([asdict(method) for method in learnt.model().methods(recipe.export.lengths)])
    with reporter.bar("load time, memory and replies", len(timed)) as bar:
        for number, cell in enumerate(timed, start=1):
            job = by_name[f"step {cell.name}"]
            whole = Job(f"replies {cell.name}", cell.target, cell.folder / "bundle", texts=said, numerics=cell.numerics)
            written = replying.measure(whole, effort)
            answer["cells"][cell.name] = cell_times(cell, job, empty[cell.target], taken, effort) | {
                "metrics": {
                    "prompt_p50_ms": asdict(taken[f"encode {cell.name}"]["inference"].series.p50_ms),
                    "prompt_length": longest,
                    "first_token_ms": written.first_token_ms,
                    "tokens_per_second": written.tokens_per_second,
                    "cache_bytes": shapes.cache_bytes,
                },
            }
            bar.update(number, cell.name)
    for path in (encode_inputs, step_inputs, said):
        path.unlink()  # texts of a data set, and their ids, stay out of what is kept
    write_json(folder / "timings.json", answer)


def step_calls(recipe: Recipe, learnt: Learnt, prompt: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """The inputs of the first steps of PyTorch's own reply to a prompt, its caches filling up."""
    words, model = reply_data.words_of(learnt), learnt.model()
    start, end = special_id(words, "start"), special_id(words, "end")
    keeper = _Keeper(PyTorchRunner(model))
    shapes = shapes_of([asdict(method) for method in model.methods(recipe.export.lengths)])
    stepper = RunnerSteps(keeper, shapes, [prompt])
    token = start
    for position in range(min(TIMED_STEPS, shapes.room)):
        scores = stepper.step(np.array([[token]], np.int32), position)[0]
        scores[[0, start, end]] = -np.inf  # a short reply goes on: what is timed is a step, whatever is written
        token = int(scores.argmax())
    return keeper.calls


class _Keeper:
    """A runner that keeps what its `step` is given."""

    def __init__(self, runner: PyTorchRunner) -> None:
        self.calls: list[tuple[np.ndarray, ...]] = []
        self._runner = runner

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        if method == "step":
            self.calls.append(arrays)
        return self._runner.run(*arrays, method=method)


def make_baselines(
    recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, folder: Path, reporter: Reporter
) -> None:
    """baselines.json: how often tokens follow each other in the replies that were learnt from, whatever the prompt."""
    words = reply_data.words_of(learnt)
    reporter.say("baseline token pairs")
    most = recipe.train.get("rows")
    training = encoded(recipe, words, reply_data.evenly(reply_data.load(task, "train"), most)).targets
    judged = reply_data.tested(task, effort)[1]
    whole = judged if effort == "rapid" else reply_data.load(task, "test")
    on_judged, on_whole = (
        reply_parity.perplexity(pair_surprises(training, encoded(recipe, words, pairs).targets, words.vocab_size))
        for pairs in (judged, whole)
    )
    found = {
        "name": "token pairs alone",
        "metrics": {"perplexity": on_judged, "test_perplexity": on_whole},
        "note": "how often a token follows another in the training replies; it does not read the prompt; "
        f"perplexity on all {len(whole)} test pairs: {on_whole:.4g}",
    }
    write_json(folder / "baselines.json", [found])


def pair_surprises(
    training: Sequence[np.ndarray], tested: Sequence[np.ndarray], size: int
) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """(T,) nats of each token of the tested replies after the one before it.

    The counts of pairs in `training` are mixed with the frequencies of single tokens (each with 1 added), which count
    as PRIOR pairs (MacKay and Peto 1995, a hierarchical Dirichlet language model).
    """
    singles = np.bincount(np.concatenate([ids[1:] for ids in training]), minlength=size) + 1.0
    shares = singles / singles.sum()
    codes = np.concatenate([ids[:-1].astype(np.int64) * size + ids[1:] for ids in training])
    pairs = dict(zip(*(part.tolist() for part in np.unique(codes, return_counts=True)), strict=True))
    befores = np.bincount(np.concatenate([ids[:-1] for ids in training]), minlength=size)
    found = []
    for ids in tested:
        counts = np.array([pairs.get(int(a) * size + int(b), 0) for a, b in itertools.pairwise(ids)])
        found.append(-np.log((counts + PRIOR * shares[ids[1:]]) / (befores[ids[:-1]] + PRIOR)))
    return found


def pytorch_baseline(recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, timings: dict[str, Any]) -> Baseline:
    """The float model itself, evaluated on the same rows; its time is that of a step."""
    figures = learnt.figures()
    found = ", ".join(f"{value:.4g}" for value in figures["test"].values())
    note = f"eager, one thread; perplexity on all {figures['test_pairs']} test pairs: {found}; {_new_words(figures)}"
    baseline = Baseline(
        "PyTorch fp32",
        size_bytes=(learnt.reference / "model.safetensors").stat().st_size,
        p50_ms=Interval(**timings["pytorch_p50_ms"]),
        note=note,
        metrics=figures["figures"],
    )
    if len(figures["test"]) > 1:
        return replace(baseline, note=f"{note} (of the seeds {', '.join(figures['test'])})")
    return baseline


def _new_words(figures: dict[str, Any]) -> str:
    """Why test and validation differ: how many tokens are in words never learnt, and what the others have."""
    test, held = figures["words"]["test"], figures["words"]["validation"]
    test_others, held_others = ("–" if of["known_words"] is None else f"{of['known_words']:.4g}" for of in (test, held))
    return (
        f"{test['new_share']:.1%} of its tokens are in words that no training reply has, the others have {test_others} "
        f"(validation: {held['perplexity']:.4g}, {held['new_share']:.1%}, {held_others})"
    )
