"""Whole replies, from the message to the end: time to the first token, and tokens a second after it."""

import statistics
from dataclasses import dataclass

from edgewright.benchmarks.latency import Effort, Job
from edgewright.benchmarks.load_time import COLD_PROCESSES
from edgewright.benchmarks.processes import Worker, cpus_for


@dataclass(frozen=True)
class Replying:
    """Medians over greedy replies. tokens_per_second: None where no reply had a second token."""

    first_token_ms: float
    tokens_per_second: float | None


def measure(job: Job, effort: Effort) -> Replying:
    """The replies of a bundle of kind "generation" (a job with texts), in as many fresh processes as for the load time.

    Raises:
        EdgewrightError: it could not be loaded, or the process died.
    """
    first: list[float] = []
    rates: list[float] = []
    for _ in range(COLD_PROCESSES[effort]):
        with Worker(job.name, job.threads) as worker:
            answer = worker.ask("replies", job=job.to_json(), cpus=cpus_for(job.threads))
        first += answer["first_token_ms"]
        rates += [rate for rate in answer["tokens_per_second"] if rate is not None]
    return Replying(statistics.median(first), statistics.median(rates) if rates else None)
