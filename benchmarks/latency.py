"""Latency of artifacts, of text → label and of peers, one process each, timed in turns.

    write_inputs({"inference": calls}, folder / "inputs.npz")
    results = measure([Job("litert int8", "litert", path, inputs=...), ...], "quick")
    results["litert int8"]["inference"].p50_ms    # Interval(value=0.031, low=0.030, high=0.033)

All workers are loaded and warmed up first; then each gets one block after the other, A B C A B C …, while the others
sleep. A change of the machine's mood thus meets all of them alike, and shows in the reference workload before and
after each block. Clock: time.perf_counter_ns, from NumPy arrays in to NumPy arrays out.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from edgewright.benchmarks import validity
from edgewright.benchmarks.bench_record import Series
from edgewright.benchmarks.intervals import percentiles_ms
from edgewright.benchmarks.processes import Worker, cpus_for
from edgewright.benchmarks.record import Timing
from edgewright.data.files import write_atomically
from edgewright.runtimes import Runtime

Effort = Literal["rapid", "quick", "normal"]


@dataclass(frozen=True)
class Budget:
    """At least so many calls AND so many seconds for each job, spread over blocks.

    more_blocks: at most so many again, while some are disturbed.
    """

    calls: int
    seconds: float
    blocks: int
    warm_calls: int
    warm_seconds: float
    more_blocks: int = 0


BUDGETS: dict[Effort, Budget] = {
    # a run has a dozen jobs or two: at a second each, their times would take longer than all else that rapid does
    "rapid": Budget(calls=64, seconds=0.3, blocks=10, warm_calls=200, warm_seconds=0.2),
    "quick": Budget(calls=1024, seconds=3, blocks=10, warm_calls=1000, warm_seconds=1, more_blocks=10),
    "normal": Budget(calls=1024, seconds=10, blocks=40, warm_calls=2000, warm_seconds=2, more_blocks=40),
}

# A machine is called quiet when the reference workload varies no more than this, and the worker had the CPU to itself.
QUIET_SPREAD = 0.10
QUIET_CPU_SHARE = 0.97


@dataclass(frozen=True)
class Job:
    """What one worker loads: an artifact with `inputs`, a bundle with `texts`, or a peer with `texts`.

    name: key of the results. path: the artifact, the bundle's folder or the peer's folder. texts: file of write_texts,
    for the series "encode", "inference" and "text_to_label" (of a peer only the last). inputs: file of write_inputs,
    whose series share the time of one; with texts they run on the bundle's artifact. paths: artifacts of series of
    `inputs` that do not run on `path`. peer: a name of benchmarks.peers.
    """

    name: str
    runtime: Runtime | None
    path: Path
    inputs: Path | None = None
    texts: Path | None = None
    numerics: str | None = None
    threads: int = 1
    method: str = "forward"
    paths: Mapping[str, Path] = field(default_factory=dict)
    peer: str | None = None

    def to_json(self) -> dict[str, object]:
        assert self.inputs or self.texts, f"{self.name}: give inputs or texts"
        return {
            "runtime": self.runtime,
            "path": str(self.path.resolve()),
            "inputs": self.inputs and str(self.inputs.resolve()),
            "texts": self.texts and str(self.texts.resolve()),
            "numerics": self.numerics,
            "threads": self.threads,
            "method": self.method,
            "paths": {series: str(path.resolve()) for series, path in self.paths.items()},
            "peer": self.peer,
        }


@dataclass(frozen=True)
class Block:
    """One worker's turn. references_ns: the reference workload before and after it."""

    references_ns: tuple[int, int]
    wall_ns: int
    cpu_ns: int
    samples_ns: dict[str, np.ndarray]


@dataclass(frozen=True)
class Warm:
    calls: int
    stable: bool


@dataclass(frozen=True)
class Latency:
    """One series of one job, with the raw samples: one array a block, in the order they were taken."""

    series: Series
    blocks_ns: tuple[np.ndarray, ...]
    references_ns: tuple[tuple[int, int], ...]


Results = dict[str, dict[str, Latency]]  # job → series → latency


def measure(jobs: Sequence[Job], effort: Effort, progress: Callable[[int, int], None] | None = None) -> Results:
    """Time all jobs in turns: name → series → Latency.

    While a job has fewer than the budget's blocks undisturbed, further rounds are made, as many as the budget allows.

    Args:
        progress: told the blocks done and the blocks in all.

    Raises:
        EdgewrightError: a worker could not load its job or died; the message names the job.
    """
    budget = BUDGETS[effort]
    assert len({job.name for job in jobs}) == len(jobs), "two jobs of one name"
    taken: dict[str, list[Block]] = {job.name: [] for job in jobs}
    warmed = {}
    most = budget.blocks + budget.more_blocks
    with ExitStack() as stack:
        # all at once: they import what they need side by side
        workers = {job.name: stack.enter_context(Worker(job.name, job.threads)) for job in jobs}
        for job in jobs:
            workers[job.name].ask("open", job=job.to_json(), cpus=cpus_for(job.threads))
        for name, worker in workers.items():
            answer = worker.ask("warm", calls=budget.warm_calls, seconds=budget.warm_seconds)
            warmed[name] = Warm(answer["calls"], answer["stable"])
        for number in range(1, most + 1):
            for name, worker in workers.items():
                taken[name].append(_block(worker, budget))
            enough = number >= budget.blocks and all(_undisturbed(blocks) >= budget.blocks for blocks in taken.values())
            last = enough or number == most
            if progress is not None:
                progress(number * len(jobs), (number if last else max(number + 1, budget.blocks)) * len(jobs))
            if last:
                break
    return {
        name: {series: summarise(blocks, series, budget, warmed[name]) for series in blocks[0].samples_ns}
        for name, blocks in taken.items()
    }


def _undisturbed(blocks: Sequence[Block]) -> int:
    return int((~validity.disturbed([block.references_ns for block in blocks])).sum())


def _block(worker: Worker, budget: Budget) -> Block:
    answer = worker.ask("block", calls=-(-budget.calls // budget.blocks), seconds=budget.seconds / budget.blocks)
    samples = {series: np.array(values, np.int64) for series, values in answer["samples_ns"].items()}
    before, after = answer["references_ns"]
    return Block((before, after), answer["wall_ns"], answer["cpu_ns"], samples)


def summarise(blocks: Sequence[Block], series: str, budget: Budget, warm: Warm) -> Latency:
    """The percentiles, the normalised median and the validity flags of one series.

    The flags about calls are the series' own; seconds and CPU share are those of all series of the job together.
    """
    samples = [block.samples_ns[series] for block in blocks]
    p50, p90, p99 = percentiles_ms(samples, [50, 90, 99])
    references = [block.references_ns for block in blocks]
    medians = [float(np.median(sample)) for sample in samples]
    low, middle, high = np.percentile(np.mean(references, axis=1), [10, 50, 90])
    calls = sum(len(sample) for sample in samples)
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
        warmed_up=warm.stable,
        warm_calls=warm.calls,
        disturbed_blocks=int(validity.disturbed(references).sum()),
        outlier_share=validity.outlier_share(samples),
        throttled=validity.throttled(references),
    )
    found = Series(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        normalised_p50=validity.normalised_p50(medians, references),
        timing=timing,
        block_p50_ms=tuple(round(median / 1e6, 6) for median in medians),
        block_reference_ms=tuple(round((before + after) / 2e6, 6) for before, after in references),
    )
    return Latency(found, tuple(samples), tuple(references))


def write_raw(results: Results, path: Path) -> Path:
    """Keep every sample: .npz with, for each series, `job|series|samples_ns`, `…|block` (the number of each sample's
    block) and `…|references_ns` (blocks, 2)."""
    arrays: dict[str, np.ndarray] = {}
    for job, series in results.items():
        for name, latency in series.items():
            key = f"{job}|{name}"
            arrays[f"{key}|samples_ns"] = np.concatenate(latency.blocks_ns).astype(np.uint32)
            arrays[f"{key}|block"] = np.repeat(
                np.arange(len(latency.blocks_ns), dtype=np.uint16), [len(block) for block in latency.blocks_ns]
            )
            arrays[f"{key}|references_ns"] = np.array(latency.references_ns)
    write_atomically(path, lambda scratch: np.savez_compressed(scratch, **arrays))  # type: ignore[arg-type]
    return path
