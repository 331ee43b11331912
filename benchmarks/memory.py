"""Memory: how far an artifact raises the peak of a process that has already run an empty graph."""

import statistics

from edgewright.benchmarks.latency import Effort, Job
from edgewright.benchmarks.load_time import COLD_PROCESSES
from edgewright.benchmarks.processes import Worker, cpus_for


def measure(job: Job, empty: Job | None, effort: Effort) -> int:
    """Peak resident bytes of load + 32 calls above those of the same process after the empty graph.

    The median of as many fresh processes as for the load time. It counts pages of 4 kB, and memory that the empty
    graph freed may be used again, so figures below about 0.3 MB say little more than "small".

    Args:
        job: an artifact with inputs.
        empty: the runtime's empty graph (benchmarks.empty_graph); None for a runtime that has none.
    """
    peaks = []
    for _ in range(COLD_PROCESSES[effort]):
        with Worker(job.name, job.threads) as worker:
            answer = worker.ask(
                "memory",
                job=job.to_json(),
                empty=empty.to_json() if empty is not None else None,
                cpus=cpus_for(job.threads),
            )
            peaks.append(int(answer["peak_bytes"]))
    return int(statistics.median(peaks))
