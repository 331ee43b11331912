"""The stages that need the machine for themselves: latency, load time and memory of all cells, and the baselines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks import load_time, memory
from edgewright.benchmarks.empty_graph import empty_jobs
from edgewright.benchmarks.job_files import write_inputs, write_texts
from edgewright.benchmarks.latency import Job, Results, measure, write_raw
from edgewright.benchmarks.peers import PEERS, Rows, open_peer, shipped_bytes, tfidf
from edgewright.benchmarks.record import Baseline, Interval
from edgewright.compress.numerics import Numerics, Target
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_json
from edgewright.data.tasks import Task
from edgewright.export.artifact import SUFFIX
from edgewright.pipeline import cells, examples
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.runtimes.answers import pad_to_bucket
from edgewright.train import metrics

TIMED_TEXTS = 4096  # where a split has them, these hold more words than a tokenizer remembers
TIMED_INPUTS = 256
NOT_TIMED: tuple[Target, ...] = ("coreml",)  # a reference interpreter: its time says nothing about a device


@dataclass(frozen=True)
class Made:
    """A cell's folder of the export stage."""

    target: Target
    numerics: Numerics
    folder: Path
    step: str = ""  # of the recipe, where the cells of several steps are timed together

    @property
    def name(self) -> str:
        return f"{self.step} {self.target} {self.numerics}".strip()

    @property
    def artifact(self) -> Path:
        return self.folder / f"{self.target}-{self.numerics}{SUFFIX[self.target]}"


def timed_texts(texts: Sequence[str], most: int = TIMED_TEXTS) -> list[str]:
    """At most `most` of the texts, evenly spread: what timed calls cycle through."""
    chosen = np.linspace(0, len(texts) - 1, min(most, len(texts))).round().astype(int)
    return [texts[i] for i in chosen]


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
    """timings.json: for each cell that can be timed here its latencies, load time and memory; for PyTorch its p50; for
    each baseline that make_baselines left its text → label latency. samples.npz: every sample."""
    words = learnt.words()
    test = examples.load(recipe, task, "test", learnt.labels(), effort)
    calls = [
        (pad_to_bucket(tokenizers.pieces(words, text)[0], recipe.export.lengths),)
        for text in timed_texts(test.texts, TIMED_INPUTS)
    ]
    inputs = write_inputs({"inference": calls}, folder / "inputs.npz")
    said = write_texts(timed_texts(test.texts), folder / "texts.json")

    timed = [cell for cell in made if cell.target not in NOT_TIMED]
    jobs = [Job(cell.name, cell.target, cell.folder / "bundle", texts=said, numerics=cell.numerics) for cell in timed]
    jobs.append(Job("pytorch", "pytorch", learnt.reference / "model.safetensors", inputs=inputs))
    empty = empty_jobs({cell.target for cell in timed}, folder)
    jobs += empty.values()
    linear = [entry["peer"] for entry in read_json(baselines / "baselines.json")]
    jobs += [Job(f"baseline {peer}", None, baselines / peer, texts=said, peer=peer) for peer in linear]
    with reporter.bar("latency, blocks in turn", 1) as bar:
        taken = measure(jobs, effort, lambda done, total: bar.update(done, total=total))
    write_raw(taken, folder / "samples.npz")

    answer: dict[str, Any] = {
        "cells": {},
        "pytorch_p50_ms": asdict(taken["pytorch"]["inference"].series.p50_ms),
        "baselines": {peer: asdict(taken[f"baseline {peer}"]["text_to_label"].series.p50_ms) for peer in linear},
    }
    with reporter.bar("load time and memory", len(timed)) as bar:
        for number, cell in enumerate(timed, start=1):
            job = Job(cell.name, cell.target, cell.artifact, inputs=inputs)
            answer["cells"][cell.name] = cell_times(cell, job, empty[cell.target], taken, effort) | {
                f"{series}_p50_ms": asdict(taken[cell.name][series].series.p50_ms)
                for series in ("text_to_label", "encode")
            }
            bar.update(number, cell.name)
    said.unlink()  # texts of a data set stay out of what is kept
    write_json(folder / "timings.json", answer)


def cell_times(cell: Made, job: Job, empty: Job, taken: Results, effort: Effort) -> dict[str, Any]:
    """What is measured of a cell whatever its kind: the latency of its calls, and where it is the run's own and no
    earlier step's, its load time and memory, which take longer and which no comparison of steps shows.

    `taken` has the series "inference" by the names of both jobs: `job` of the artifact, `empty` of its target's empty
    graph.
    """
    alone = taken[job.name]["inference"].series
    times: dict[str, Any] = {
        "p50_ms": asdict(alone.p50_ms),
        "normalised_p50": asdict(alone.normalised_p50),
        "p90_ms": asdict(alone.p90_ms),
        "p99_ms": asdict(alone.p99_ms),
        "empty_call_ms": asdict(taken[empty.name]["inference"].series.p50_ms),
        "timing": asdict(alone.timing),
    }
    if not cell.step:
        times["load_ms"] = asdict(load_time.measure(job, effort).load_ms)
        times["peak_memory_bytes"] = memory.measure(job, empty, effort)
    return times


def make_baselines(
    recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, folder: Path, reporter: Reporter
) -> None:
    """A folder for each linear classifier on TF-IDF, and baselines.json: what they reach on the same rows.

    `rapid` leaves out the form with character n-grams, whose training takes longer than the model's own.
    """
    if task.kind != "single_label":
        write_json(folder / "baselines.json", [])  # a linear classifier on TF-IDF labels texts, not words
        return
    labels = learnt.labels()
    training = examples.load(recipe, task, "train", labels).in_scope()
    rows = Rows(training.texts, training.labels)
    test = examples.load(recipe, task, "test", labels, effort).in_scope()
    found = []
    for peer in ("tfidf_word",) if effort == "rapid" else ("tfidf_word", "tfidf_word_character"):
        reporter.say(f"baseline {PEERS[peer].title}")
        (folder / peer).mkdir()
        tfidf.fit(rows, labels, folder / peer, characters=peer == "tfidf_word_character")
        predicted = open_peer(peer, folder / peer).labels(test.texts)
        found.append(
            {
                "peer": peer,
                "accuracy": metrics.accuracy(predicted, test.labels),
                "macro_f1": metrics.macro_f1(metrics.confusion(predicted, test.labels, len(labels))),
                "size_bytes": shipped_bytes(folder / peer),
            }
        )
    write_json(folder / "baselines.json", found)


def linear_baselines(folder: Path, timings: dict[str, Any]) -> list[Baseline]:
    """What make_baselines left in `folder`, with its latency where it is a peer."""
    found = read_json(folder / "baselines.json")
    return [Baseline(**entry) for entry in found if "peer" not in entry] + [
        Baseline(
            name=PEERS[entry["peer"]].title,
            accuracy=entry["accuracy"],
            macro_f1=entry["macro_f1"],
            size_bytes=entry["size_bytes"],
            text_to_label_p50_ms=Interval(**timings["baselines"][entry["peer"]]),
            note="scikit-learn; size = vocabulary text + float32 weights",
        )
        for entry in found
        if "peer" in entry
    ]


def pytorch_baseline(recipe: Recipe, task: Task, effort: Effort, learnt: Learnt, timings: dict[str, Any]) -> Baseline:
    """The float model itself, evaluated on the same rows."""
    test = examples.load(recipe, task, "test", learnt.labels(), effort)
    scored = cells.score(task, learnt, learnt.logits()["test"], test)
    size = (learnt.reference / "model.safetensors").stat().st_size
    p50 = Interval(**timings["pytorch_p50_ms"])
    baseline = Baseline(
        "PyTorch fp32",
        scored["accuracy"],
        scored["macro_f1"],
        size,
        None,
        p50,
        "eager, one thread",
        span_f1=scored["span_f1"],
    )
    seeds = learnt.figures()["test"]
    if len(seeds) > 1:
        values = ", ".join(f"{value:.4f}" for value in seeds.values())
        figure = "span F1" if task.kind == "tags" else "accuracy"
        return replace(baseline, note=f"{baseline.note}; test {figure} of the seeds {', '.join(seeds)}: {values}")
    return baseline


def read_timings(folder: Path) -> dict[str, Any]:
    return dict(read_json(folder / "timings.json"))
