"""Latency of artifacts and of text → label, one process each, timed in turns.

    write_inputs(rows, folder / "inputs.npz")
    results = measure([Job("litert int8", "litert", path, inputs=...), ...], "quick")
    results["litert int8"]["inference"].p50_ms    # Interval(value=0.031, low=0.030, high=0.033)

All workers are loaded and warmed up first; then each gets one block after the other, A B C A B C …, while the others
sleep. A change of the machine's mood thus meets all of them alike, and shows in the reference workload that precedes
each block. Clock: time.perf_counter_ns, from NumPy arrays in to NumPy arrays out.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgewright.benchmarks.intervals import percentiles_ms
from edgewright.benchmarks.processes import Worker, cpus_for
from edgewright.benchmarks.record import Interval, Timing
from edgewright.data.files import write_atomically, write_text
from edgewright.runtimes import Runtime

Effort = Literal["rapid", "quick", "normal"]


@dataclass(frozen=True)
class Budget:
    """At least so many calls AND so many seconds for each job, spread over blocks."""

    calls: int
    seconds: float
    blocks: int
    warm_calls: int
    warm_seconds: float


BUDGETS: dict[Effort, Budget] = {
    "rapid": Budget(calls=64, seconds=1, blocks=10, warm_calls=200, warm_seconds=0.5),
    "quick": Budget(calls=1024, seconds=3, blocks=10, warm_calls=1000, warm_seconds=1),
    "normal": Budget(calls=1024, seconds=10, blocks=20, warm_calls=2000, warm_seconds=2),
}

# A machine is called quiet when the reference workload varies no more than this, and the worker had the CPU to itself.
QUIET_SPREAD = 0.10
QUIET_CPU_SHARE = 0.97


@dataclass(frozen=True)
class Job:
    """What one worker loads: an artifact with `inputs`, or a bundle with `texts`.

    name: key of the results. path: the artifact, or the bundle's folder. inputs: file of write_inputs, for the
    series "inference". texts: file of write_texts, for the series "encode", "inference" and "text_to_label".
    """

    name: str
    runtime: Runtime
    path: Path
    inputs: Path | None = None
    texts: Path | None = None
    numerics: str | None = None
    threads: int = 1
    method: str = "forward"

    def to_json(self) -> dict[str, object]:
        assert (self.inputs is None) != (self.texts is None), f"{self.name}: give inputs or texts"
        return {
            "kind": "text" if self.texts else "artifact",
            "runtime": self.runtime,
            "path": str(self.path.resolve()),
            "inputs": self.inputs and str(self.inputs.resolve()),
            "texts": self.texts and str(self.texts.resolve()),
            "numerics": self.numerics,
            "threads": self.threads,
            "method": self.method,
        }


@dataclass(frozen=True)
class Latency:
    """One series of one job. blocks_ns holds the raw samples, one array a block, in the order they were taken."""

    p50_ms: Interval
    p90_ms: Interval
    p99_ms: Interval
    timing: Timing
    blocks_ns: tuple[np.ndarray, ...]
    references_ns: tuple[int, ...]


@dataclass(frozen=True)
class Block:
    reference_ns: int
    wall_ns: int
    cpu_ns: int
    samples_ns: dict[str, np.ndarray]


def write_inputs(calls: Sequence[tuple[np.ndarray, ...]], path: Path) -> Path:
    """Store the inputs of some calls for the workers, and return `path`, which ends in .npz."""
    assert path.suffix == ".npz" and calls
    arrays: dict[str, Any] = {f"{i}_{j}": array for i, call in enumerate(calls) for j, array in enumerate(call)}
    write_atomically(path, lambda scratch: np.savez(scratch, **arrays))
    return path


def write_texts(texts: Sequence[str], path: Path) -> Path:
    """Store texts for the workers, and return `path`; as ASCII, since a text may hold half a surrogate pair."""
    write_text(path, json.dumps(list(texts)))
    return path


def measure(
    jobs: Sequence[Job], effort: Effort, progress: Callable[[int, int], None] | None = None
) -> dict[str, dict[str, Latency]]:
    """Time all jobs in turns: name → series → Latency.

    Args:
        progress: told the blocks done and the blocks in all.

    Raises:
        EdgewrightError: a worker could not load its job or died; the message names the job.
    """
    budget = BUDGETS[effort]
    assert len({job.name for job in jobs}) == len(jobs), "two jobs of one name"
    taken: dict[str, list[Block]] = {job.name: [] for job in jobs}
    with ExitStack() as stack:
        workers = {}
        for job in jobs:
            worker = stack.enter_context(Worker(job.name, job.threads))
            worker.ask("open", job=job.to_json(), cpus=cpus_for(job.threads))
            workers[job.name] = worker
        for worker in workers.values():
            worker.ask("warm", calls=budget.warm_calls, seconds=budget.warm_seconds)
        for number in range(budget.blocks):
            for name, worker in workers.items():
                taken[name].append(_block(worker, budget))
            if progress is not None:
                progress((number + 1) * len(jobs), budget.blocks * len(jobs))
    return {
        name: {series: summarise(blocks, series, budget) for series in blocks[0].samples_ns}
        for name, blocks in taken.items()
    }


def _block(worker: Worker, budget: Budget) -> Block:
    answer = worker.ask("block", calls=-(-budget.calls // budget.blocks), seconds=budget.seconds / budget.blocks)
    samples = {series: np.array(values, np.int64) for series, values in answer["samples_ns"].items()}
    return Block(answer["reference_ns"], answer["wall_ns"], answer["cpu_ns"], samples)


def summarise(blocks: Sequence[Block], series: str, budget: Budget) -> Latency:
    """The percentiles and the validity flags of one series."""
    samples = [block.samples_ns[series] for block in blocks]
    p50, p90, p99 = percentiles_ms(samples, [50, 90, 99])
    references = np.array([block.reference_ns for block in blocks])
    low, middle, high = np.percentile(references, [10, 50, 90])
    calls = sum(len(block) for block in samples)
    wall = sum(block.wall_ns for block in blocks)
    share = sum(block.cpu_ns for block in blocks) / wall
    spread = float((high - low) / middle)
    timing = Timing(
        calls=calls,
        seconds=wall / 1e9,
        blocks=len(blocks),
        reference_ms=float(middle) / 1e6,
        reference_spread=spread,
        cpu_share=share,
        calls_met=calls >= budget.calls,
        duration_met=wall / 1e9 >= budget.seconds,
        quiet=spread <= QUIET_SPREAD and share >= QUIET_CPU_SHARE,
    )
    return Latency(p50, p90, p99, timing, tuple(samples), tuple(int(value) for value in references))
