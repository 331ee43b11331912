"""What a fresh worker process does once: cold start, memory, energy, replies, what its runtime loads, roofline.

Each function answers one command of benchmarks.worker with plain JSON values; ONCE is the table of them.
"""

import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import util
from itertools import cycle
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgewright.benchmarks.job_files import read_inputs, read_texts
from edgewright.benchmarks.record import Interval
from edgewright.runtimes import load

MEMORY_CALLS = 32
PACKAGES = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "executorch": "executorch", "pytorch": "torch"}


def cold(job: dict[str, Any]) -> dict[str, Any]:
    """Nanoseconds of the imports, and of load + first call (of the first text's prediction) after them."""
    first = _first_call(job)
    start = time.perf_counter_ns()
    _import_runtime(job["runtime"])
    if job["texts"] is not None:
        __import__("edgewright.runtimes.predictor")
    imported = time.perf_counter_ns()
    first()
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


def libraries(job: dict[str, Any]) -> dict[str, Any]:
    """Bytes of the runtime's own shared libraries that this process has mapped after a call; None off Linux."""
    _first_call(job)()
    spec = util.find_spec(PACKAGES[job["runtime"]])
    assert spec is not None and spec.submodule_search_locations
    home = Path(next(iter(spec.submodule_search_locations))).resolve()
    try:
        mapped = set(re.findall(r"(/\S+\.so\S*)$", Path("/proc/self/maps").read_text(), re.MULTILINE))
    except OSError:
        return {"bytes": None}
    return {"bytes": sum(Path(file).stat().st_size for file in mapped if Path(file).resolve().is_relative_to(home))}


def energy(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Microjoules of the processor package for one prediction, over `seconds` of nothing else."""
    from edgewright.benchmarks.energy import package_counter
    from edgewright.runtimes.opening import open_predictor

    predict = open_predictor(Path(job["path"]), job["runtime"], job["numerics"], job["threads"]).predict
    texts = cycle(read_texts(Path(job["texts"])))
    counter = package_counter()
    assert counter is not None, "asked only where a counter is readable"
    for _ in range(MEMORY_CALLS):
        predict(next(texts))
    calls, end = 0, time.perf_counter() + seconds
    before = counter.microjoules()
    while time.perf_counter() < end:
        predict(next(texts))
        calls += 1
    return {"uj": counter.between(before, counter.microjoules()) / calls}


def replies(job: dict[str, Any]) -> dict[str, Any]:
    """Of a greedy reply to each of the job's texts: time to the first token, and tokens a second after it."""
    from edgewright.runtimes.generator import open_generator

    generator = open_generator(Path(job["path"]), job["runtime"], job["numerics"], job["threads"])
    texts = read_texts(Path(job["texts"]))
    generator.generate_reply(texts[0])  # the first call of a process pays for what later ones find ready
    found = [generator.generate_reply(text).statistics for text in texts]
    return {name: [getattr(one, name) for one in found] for name in ("first_token_ms", "tokens_per_second")}


def peaks(seconds: float) -> dict[str, Any]:
    """bench_record.Peaks of this machine."""
    from edgewright.benchmarks.roofline.peaks import measure_peaks

    return asdict(measure_peaks(seconds))


def roofline(job: dict[str, Any], request: dict[str, Any], calls: int) -> dict[str, Any]:
    """bench_record.Roofline of the job's artifact for each of its series, which are named by their length.

    request: by series, what was measured: {"measured": an Interval in ms}; and "empty_call_ms" and "peaks" of all.
    """
    from edgewright.benchmarks.bench_record import Peaks
    from edgewright.benchmarks.roofline.bounds import roofline as judge

    allowed = TypeAdapter(Peaks).validate_python(request["peaks"])
    found = {
        series: judge(
            job["runtime"],
            Path(job["path"]),
            inputs[0],
            inputs[0][0].shape[1],
            Interval(**request["measured"][series]),
            request["empty_call_ms"],
            allowed,
            calls,
        )
        for series, inputs in read_inputs(Path(job["inputs"])).items()
    }
    return {series: asdict(one) for series, one in found.items()}


def _first_call(job: dict[str, Any]) -> Callable[[], object]:
    """What loads the job and calls it once; its inputs are read before."""
    if job["texts"] is not None:
        text = read_texts(Path(job["texts"]))[0]

        def predict() -> object:
            from edgewright.runtimes.opening import open_predictor

            return open_predictor(Path(job["path"]), job["runtime"], job["numerics"], job["threads"]).predict(text)

        return predict
    arrays = next(iter(read_inputs(Path(job["inputs"])).values()))[0]
    return lambda: load(job["runtime"], Path(job["path"]), job["threads"]).run(*arrays, method=job["method"])


def _run_calls(job: dict[str, Any]) -> object:
    """The runner, which must stay alive while the memory is read."""
    inputs = next(iter(read_inputs(Path(job["inputs"])).values()))
    runner = load(job["runtime"], Path(job["path"]), job["threads"])
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


ONCE: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function for function in (cold, memory, libraries, energy, replies, peaks, roofline)
}
