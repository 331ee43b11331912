"""The process that holds one artifact and times it: `python -m edgewright.benchmarks.worker`, spoken to in JSON lines.

One request a line on stdin, one answer a line on stdout; between requests it sleeps in a blocking read, so that an
idle worker takes no CPU from the one that is being timed. It ends when stdin does. Requests, by their `command`:

    open    a `job` (latency.Job as JSON), loaded with its runtime
    warm    calls until their time is stable
    block   timed calls, with the reference workload before and after them
    and what a fresh process does once: see benchmarks.once

Texts and inputs come in files. An answer is {"ok": ...} or {"error": class, "message": line}; the message of a job
that holds texts is left out, since a library may quote the text in it.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edgewright.benchmarks.job_files import Arrays, read_inputs, read_texts
from edgewright.benchmarks.once import ONCE
from edgewright.benchmarks.reference_workload import reference_ns
from edgewright.errors import EdgewrightError
from edgewright.runtimes import Runner, load

Call = Callable[[], list[int]]  # one round: the nanoseconds of each series

WARM_GROUPS = 5  # groups of calls whose medians must agree
WARM_TOLERANCE = 0.05


@dataclass(frozen=True)
class Group:
    """Series that one round of calls gives together. share: of a block's calls and seconds."""

    series: tuple[str, ...]
    call: Call
    share: float = 1.0


def main(requests: TextIO, answers: TextIO) -> None:
    """Answer every line of `requests` until it ends."""
    groups: list[Group] = []
    with_texts = False
    for line in requests:
        request = json.loads(line)
        command = request.pop("command")
        answer: Any
        try:
            if "job" in request:
                with_texts = request["job"]["texts"] is not None
            if "cpus" in request:
                pin(request.pop("cpus"))
            if command == "open":
                groups = open_job(request["job"])
                answer = {"series": [name for group in groups for name in group.series]}
            elif command == "warm":
                answer = warm(groups, **request)
            elif command == "block":
                answer = block(groups, **request)
            else:
                answer = ONCE[command](**request)
        except Exception as error:
            answers.write(json.dumps(_failure(error, with_texts)) + "\n")
        else:
            answers.write(json.dumps({"ok": answer}) + "\n")
        answers.flush()


def pin(cpus: list[int] | None) -> None:
    """Stay on these CPUs where the system allows it; None leaves the choice to the system."""
    if cpus is not None and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(0, cpus)
        except OSError:
            pass  # a container may forbid it; the quiet flag shows the harm


def open_job(job: dict[str, Any]) -> list[Group]:
    """The artifact, the bundle or the peer of a job, and what times its rounds."""
    if job["peer"] is not None:
        return [_peer_group(job)]
    groups = []
    runner: Runner | None = None
    if job["texts"] is not None:
        group, runner = _text_group(job)
        groups.append(group)
    if job["inputs"] is not None:
        named = read_inputs(Path(job["inputs"]))
        others = {path: load(job["runtime"], Path(path), job["threads"]) for path in set(job["paths"].values())}
        if runner is None and set(job["paths"]) != set(named):
            runner = load(job["runtime"], Path(job["path"]), job["threads"])
        for series, calls in named.items():
            own = others[job["paths"][series]] if series in job["paths"] else runner
            assert own is not None
            groups.append(Group((series,), _run_call(own, calls, job["method"]), 1 / len(named)))
    return groups


def _run_call(runner: Runner, calls: Sequence[Arrays], method: str) -> Call:
    run, rounds, clock = runner.run, cycle(calls), time.perf_counter_ns

    def call() -> list[int]:
        arrays = next(rounds)
        start = clock()
        run(*arrays, method=method)
        return [clock() - start]

    return call


def _text_group(job: dict[str, Any]) -> tuple[Group, Runner]:
    # only here: the tokenizers' tables would count in the start and the memory of an artifact alone
    from edgewright.runtimes.opening import open_predictor

    predictor = open_predictor(Path(job["path"]), job["runtime"], job["numerics"], job["threads"])
    encode, run, predict = predictor.encode, predictor.runner.run, predictor.predict
    rounds, clock = cycle(read_texts(Path(job["texts"]))), time.perf_counter_ns

    def call() -> list[int]:
        text = next(rounds)
        start = clock()
        arrays = encode(text)
        encoded = clock()
        run(*arrays)
        done = clock()
        predict(text)
        return [encoded - start, done - encoded, clock() - done]

    return Group(("encode", "inference", "text_to_label"), call), predictor.runner


def _peer_group(job: dict[str, Any]) -> Group:
    from edgewright.benchmarks.peers import open_peer

    label = open_peer(job["peer"], Path(job["path"]), job["threads"]).label
    rounds, clock = cycle(read_texts(Path(job["texts"]))), time.perf_counter_ns

    def call() -> list[int]:
        text = next(rounds)
        start = clock()
        label(text)
        return [clock() - start]

    return Group(("text_to_label",), call)


def warm(groups: Sequence[Group], calls: int, seconds: float) -> dict[str, Any]:
    """Warm up every group; `stable` only if all of them got stable, `calls` of all together."""
    answers = [_warm(group.call, calls, seconds * group.share) for group in groups]
    return {"calls": sum(done for done, _ in answers), "stable": all(stable for _, stable in answers)}


def _warm(call: Call, calls: int, seconds: float) -> tuple[int, bool]:
    """Call until the medians of the last 5 groups lie within 5 %, or until `calls` calls or `seconds` are spent."""
    end = time.perf_counter() + seconds
    size, medians, done = max(1, calls // 20), [], 0
    while done < calls and time.perf_counter() < end:
        medians.append(float(np.median([call()[-1] for _ in range(size)])))
        done += size
        last = medians[-WARM_GROUPS:]
        if len(last) == WARM_GROUPS and max(last) <= (1 + WARM_TOLERANCE) * min(last):
            return done, True
    return done, False


def block(groups: Sequence[Group], calls: int, seconds: float) -> dict[str, Any]:
    """Time at least `calls` calls and at least `seconds` seconds of each group, or its share of both."""
    clock = time.perf_counter_ns
    samples_ns: dict[str, list[int]] = {}
    wall = cpu = 0
    before = reference_ns()
    for group in groups:
        call, least = group.call, calls * group.share
        samples: list[list[int]] = []
        cpu_start, start = time.process_time_ns(), clock()
        end = start + int(seconds * group.share * 1e9)
        while len(samples) < least or clock() < end:
            samples.append(call())
        wall += clock() - start
        cpu += time.process_time_ns() - cpu_start
        samples_ns |= {
            name: list(column) for name, column in zip(group.series, zip(*samples, strict=True), strict=True)
        }
    return {"references_ns": [before, reference_ns()], "wall_ns": wall, "cpu_ns": cpu, "samples_ns": samples_ns}


def _failure(error: Exception, with_texts: bool) -> dict[str, str]:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    if isinstance(error, EdgewrightError):
        return {"error": type(error).__name__, "message": str(error)}
    detail = "" if with_texts else f": {error}"
    return {"error": "", "message": " ".join(f"{type(error).__name__}{detail} ({where})".split())}


if __name__ == "__main__":
    # libraries print to file descriptor 1 as they like; the answers get a copy of it, the rest goes to stderr
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main(sys.stdin, channel)
    os._exit(0)  # taking PyTorch down in order takes half a second, and all answers are given
