"""Load time and cold start: processes in which the artifact is the first thing that the runtime does."""

import time

from edgewright.benchmarks.bench_record import Cold
from edgewright.benchmarks.intervals import median_ms
from edgewright.benchmarks.latency import Effort, Job
from edgewright.benchmarks.processes import Worker, cpus_for

COLD_PROCESSES: dict[Effort, int] = {"rapid": 1, "quick": 3, "normal": 3}


def measure(job: Job, effort: Effort) -> Cold:
    """The load time of an artifact (a job with inputs), or of a bundle up to its first label (a job with texts).

    Raises:
        EdgewrightError: it could not be loaded, or the process died.
    """
    answers, processes = [], []
    for _ in range(COLD_PROCESSES[effort]):
        start = time.perf_counter_ns()
        with Worker(job.name, job.threads) as worker:
            answers.append(worker.ask("cold", job=job.to_json(), cpus=cpus_for(job.threads)))
            processes.append(time.perf_counter_ns() - start)
    return Cold(
        process_ms=median_ms(processes),
        import_ms=median_ms([answer["import_ns"] for answer in answers]),
        load_ms=median_ms([answer["load_ns"] for answer in answers]),
    )
