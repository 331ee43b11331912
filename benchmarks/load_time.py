"""Load time: cold processes, in which the artifact is the first thing that the runtime does."""

import time
from dataclasses import dataclass

from edgewright.benchmarks.intervals import median_ms
from edgewright.benchmarks.latency import Effort, Job
from edgewright.benchmarks.processes import Worker, cpus_for
from edgewright.benchmarks.record import Interval

COLD_PROCESSES: dict[Effort, int] = {"rapid": 1, "quick": 3, "normal": 3}


@dataclass(frozen=True)
class LoadTime:
    """Medians over cold processes; the file itself is in the system's cache.

    load_ms: load + first call, with the runtime's libraries imported. import_ms: these imports.
    process_ms: from the start of the Python process to its first answer, all of the above included.
    """

    load_ms: Interval
    import_ms: Interval
    process_ms: Interval


def measure(job: Job, effort: Effort) -> LoadTime:
    """The load time of an artifact; `job` has inputs.

    Raises:
        EdgewrightError: the artifact could not be loaded, or the process died.
    """
    answers, processes = [], []
    for _ in range(COLD_PROCESSES[effort]):
        start = time.perf_counter_ns()
        with Worker(job.name, job.threads) as worker:
            answers.append(worker.ask("cold", job=job.to_json(), cpus=cpus_for(job.threads)))
            processes.append(time.perf_counter_ns() - start)
    return LoadTime(
        load_ms=median_ms([answer["load_ns"] for answer in answers]),
        import_ms=median_ms([answer["import_ns"] for answer in answers]),
        process_ms=median_ms(processes),
    )
