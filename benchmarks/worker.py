"""The process that holds one artifact and times it: `python -m edgewright.benchmarks.worker`, spoken to in JSON lines.

One request a line on stdin, one answer a line on stdout; between requests it sleeps in a blocking read, so that an
idle worker takes no CPU from the one that is being timed. It ends when stdin does. Requests, by their `command`:

    open    a `job` (latency.Job as JSON), loaded with its runtime
    warm    calls until their time is stable
    block   the reference workload, then timed calls
    cold    imports, then load and first call, timed; for a process that did nothing else
    memory  peak resident memory of load and 32 calls, above that of an empty graph

Texts and inputs come in files. An answer is {"ok": ...} or {"error": class, "message": line}; the message of a job
that holds texts is left out, since a library may quote the text in it.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edgewright.errors import EdgewrightError
from edgewright.runtimes import load

Arrays = tuple[np.ndarray, ...]
Call = Callable[[], list[int]]  # one round: the nanoseconds of each series

MEMORY_CALLS = 32
WARM_GROUPS = 5  # groups of calls whose medians must agree
WARM_TOLERANCE = 0.05


@dataclass(frozen=True)
class Loaded:
    series: tuple[str, ...]
    call: Call


def main(requests: TextIO, answers: TextIO) -> None:
    """Answer every line of `requests` until it ends."""
    loaded: Loaded | None = None
    with_texts = False
    for line in requests:
        request = json.loads(line)
        command = request.pop("command")
        answer: Any
        try:
            if command == "open":
                with_texts = request["job"]["kind"] == "text"
                pin(request["cpus"])
                loaded = open_job(request["job"])
                answer = {"series": loaded.series}
            elif command == "cold":
                pin(request["cpus"])
                answer = cold(request["job"])
            elif command == "memory":
                pin(request["cpus"])
                answer = memory(request["job"], request["empty"])
            elif command == "warm":
                assert loaded is not None, "warm before open"
                answer = warm(loaded.call, **request)
            else:
                assert command == "block" and loaded is not None, command
                answer = block(loaded, **request)
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


def open_job(job: dict[str, Any]) -> Loaded:
    """The artifact or the bundle of a job, and the function that times one round."""
    if job["kind"] == "text":
        return _text_job(job)
    inputs = read_inputs(Path(job["inputs"]))
    runner = load(job["runtime"], Path(job["path"]), job["threads"])
    run, method, rounds, clock = runner.run, job["method"], cycle(inputs), time.perf_counter_ns

    def call() -> list[int]:
        arrays = next(rounds)
        start = clock()
        run(*arrays, method=method)
        return [clock() - start]

    return Loaded(("inference",), call)


def _text_job(job: dict[str, Any]) -> Loaded:
    # only here: the tokenizers' tables would count in the start and the memory of an artifact alone
    from edgewright.runtimes.predictor import open_predictor

    texts = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
    predictor = open_predictor(Path(job["path"]), job["runtime"], job["numerics"], job["threads"])
    encode, run, predict = predictor.encode, predictor.runner.run, predictor.predict
    rounds, clock = cycle(texts), time.perf_counter_ns

    def call() -> list[int]:
        text = next(rounds)
        start = clock()
        arrays = encode(text)
        encoded = clock()
        run(*arrays)
        done = clock()
        predict(text)
        return [encoded - start, done - encoded, clock() - done]

    return Loaded(("encode", "inference", "text_to_label"), call)


def read_inputs(path: Path) -> list[Arrays]:
    """The calls of an .npz file that latency.write_inputs wrote: array `i_j` is input j of call i."""
    with np.load(path, allow_pickle=False) as stored:
        calls: dict[int, dict[int, np.ndarray]] = {}
        for name in stored.files:
            i, j = name.split("_")
            calls.setdefault(int(i), {})[int(j)] = stored[name]
    return [tuple(arrays[j] for j in sorted(arrays)) for _, arrays in sorted(calls.items())]


def warm(call: Call, calls: int, seconds: float) -> dict[str, Any]:
    """Call until the medians of the last 5 groups lie within 5 %, or until `calls` calls or `seconds` are spent."""
    end = time.perf_counter() + seconds
    group, medians, done = max(1, calls // 20), [], 0
    while done < calls and time.perf_counter() < end:
        medians.append(float(np.median([call()[-1] for _ in range(group)])))
        done += group
        last = medians[-WARM_GROUPS:]
        if len(last) == WARM_GROUPS and max(last) <= (1 + WARM_TOLERANCE) * min(last):
            return {"calls": done, "stable": True}
    return {"calls": done, "stable": False}


def block(loaded: Loaded, calls: int, seconds: float) -> dict[str, Any]:
    """Time at least `calls` calls and at least `seconds` seconds, after the reference workload."""
    reference = reference_ns()
    call, clock = loaded.call, time.perf_counter_ns
    samples: list[list[int]] = []
    cpu_start, start = time.process_time_ns(), clock()
    end = start + int(seconds * 1e9)
    while len(samples) < calls or clock() < end:
        samples.append(call())
    wall, cpu = clock() - start, time.process_time_ns() - cpu_start
    series = {name: list(column) for name, column in zip(loaded.series, zip(*samples, strict=True), strict=True)}
    return {"reference_ns": reference, "wall_ns": wall, "cpu_ns": cpu, "samples_ns": series}


_LEFT = np.random.default_rng(0).random((96, 96), dtype=np.float32)


def reference_ns(repeats: int = 5) -> int:
    """Median time of a fixed NumPy workload of about 0.2 ms: slower than usual means a busy or throttled CPU."""
    times = []
    for _ in range(repeats + 1):
        start, x = time.perf_counter_ns(), _LEFT
        for _ in range(8):
            x = np.maximum(_LEFT @ x, 0) / 96
        times.append(time.perf_counter_ns() - start)
    return int(np.median(times[1:]))  # the first one fills the caches


def cold(job: dict[str, Any]) -> dict[str, Any]:
    """Nanoseconds of the imports, and of load + first call after them."""
    inputs = read_inputs(Path(job["inputs"]))
    start = time.perf_counter_ns()
    _import_runtime(job["runtime"])
    imported = time.perf_counter_ns()
    load(job["runtime"], Path(job["path"]), job["threads"]).run(*inputs[0], method=job["method"])
    return {"import_ns": imported - start, "load_ns": time.perf_counter_ns() - imported}


def memory(job: dict[str, Any], empty: dict[str, Any] | None) -> dict[str, Any]:
    """Peak resident bytes of the artifact above those of the empty graph, in this one process.

    The empty graph runs first, so that what a runtime allocates once (thread pools, operator tables) is not charged
    to the artifact. Without an empty graph the base is the process with the runtime imported.
    """
    _import_runtime(job["runtime"])
    kept = [_run_calls(empty)] if empty is not None else []
    _forget_peak()
    base = peak_bytes()
    kept.append(_run_calls(job))
    above = peak_bytes() - base
    assert kept[-1] is not None
    return {"peak_bytes": above}


def _run_calls(job: dict[str, Any]) -> object:
    """The runner, which must stay alive while the memory is read."""
    runner, inputs = load(job["runtime"], Path(job["path"]), job["threads"]), read_inputs(Path(job["inputs"]))
    for _, arrays in zip(range(MEMORY_CALLS), cycle(inputs), strict=False):
        runner.run(*arrays, method=job["method"])
    return runner


def _import_runtime(runtime: str) -> None:
    __import__(f"edgewright.runtimes.{runtime}")


def _forget_peak() -> None:
    """Let the peak start anew from the present size: imports may have needed more for a moment."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # only Linux has it, and only for the process itself


def peak_bytes() -> int:
    """Peak resident memory of this process.

    Linux hands ru_maxrss of the parent down through fork and exec, so a parent with PyTorch loaded would hide all
    that a small worker does; VmHWM belongs to this program alone.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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
