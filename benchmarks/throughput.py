"""Rows a second when rows are given together, as a server or a backlog gives them."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgewright.benchmarks import latency
from edgewright.benchmarks.batched import FREE_BATCH, batched_artifact
from edgewright.benchmarks.bench_record import Throughput
from edgewright.benchmarks.job_files import Arrays, write_inputs
from edgewright.benchmarks.latency import Effort, Job, Results
from edgewright.benchmarks.record import Interval
from edgewright.runtimes.bundle import Bundle, BundleArtifact


def measure(
    bundle: Bundle,
    artifacts: Sequence[BundleArtifact],
    batches: Sequence[int],
    rows: Sequence[np.ndarray],
    effort: Effort,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[tuple[str, str], list[Throughput]], Results]:
    """Throughput by target and numerics, at the bucket that most rows fall into; and what was timed for it.

    A target with fixed shapes gets a file for each batch, made from the bundle's float model; what cannot be made
    (static int8 would need calibration rows) is not measured.

    Args:
        rows: (1, bucket[, K]) inputs. folder: for files that are needed meanwhile. progress: as in latency.measure.
    """
    if not batches:
        return {}, {}
    length = Counter(row.shape[1] for row in rows).most_common(1)[0][0]
    fitting = [row for row in rows if row.shape[1] == length]
    jobs = [_job(bundle, artifact, batches, length, fitting, folder) for artifact in artifacts]
    taken = latency.measure(jobs, effort, progress)
    found: dict[tuple[str, str], list[Throughput]] = {
        (artifact.target, artifact.numerics): [
            Throughput(batch, length, rows_per_second(batch, series.series.p50_ms), calls=1)
            for batch in batches
            if (series := taken[job.name].get(f"batch {batch}")) is not None
        ]
        for artifact, job in zip(artifacts, jobs, strict=True)
    }
    return found, taken


def _job(
    bundle: Bundle,
    artifact: BundleArtifact,
    batches: Sequence[int],
    length: int,
    rows: Sequence[np.ndarray],
    folder: Path,
) -> Job:
    """One series a batch, each on its own file."""
    name = f"{artifact.target} {artifact.numerics}, batches"
    paths: dict[str, Path] = {}
    stacks: dict[str, list[Arrays]] = {}
    for batch in batches:
        made: Path | None = artifact.path
        if batch > 1 and artifact.target not in FREE_BATCH:
            made = batched_artifact(bundle, artifact, batch, length, folder)
        if made is not None:
            paths[f"batch {batch}"] = made
            stacks[f"batch {batch}"] = [(np.concatenate([rows[i % len(rows)] for i in range(batch)]),)]
    inputs = write_inputs(stacks, folder / f"batches-{artifact.target}-{artifact.numerics}.npz")
    return Job(name, artifact.target, artifact.path, inputs=inputs, paths=paths)


def rows_per_second(batch: int, p50_ms: Interval) -> Interval:
    """The rate that a call's time stands for; its bounds change places."""

    def rate(milliseconds: float) -> float:
        return batch / milliseconds * 1e3

    if p50_ms.low is None or p50_ms.high is None:
        return Interval(rate(p50_ms.value))
    return Interval(rate(p50_ms.value), rate(p50_ms.high), rate(p50_ms.low))
