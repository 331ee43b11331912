"""The time of each operator in ExecuTorch, by its own trace (ETDump).

The program's kernels and delegates are timed in nanoseconds. Inside of a delegate XNNPACK gives whole microseconds,
rounded down: 0 for all operators of a small model but the largest. So only its products keep a time of their own,
and what is left of a delegate is one figure.
"""

import importlib.resources
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from executorch.exir._serialize._flatbuffer import _flatc_decompile
from executorch.extension.pybindings import _C

from edgewright.benchmarks.roofline.executorch_operators import function_for, read_program
from edgewright.benchmarks.roofline.profiles import Profile
from edgewright.runtimes import executorch as runtime

SOURCE = (
    "ETDump of ExecuTorch: kernels and delegates in ns, operators inside of an XNNPACK delegate in whole µs, rounded "
    "down; what these leave of a delegate is one figure, and the trace itself is in it"
)
# an event's name begins with what XNNPACK calls the node; the k-th event of a delegate is its k-th node of that kind
PRODUCTS = {
    "Fully Connected": "FullyConnected",
    "Convolution": "Conv2d",
    "Batch Matrix Multiply": "BatchMatrixMultiply",
}
WARM_CALLS = 10


def profile(path: Path, inputs: Sequence[np.ndarray], calls: int) -> Profile:
    """See profiles.profile."""
    function = function_for(read_program(path), inputs).name
    runner = runtime.load(path)  # sets the process to one thread, and keeps it so while it lives
    traced = _C._load_program(str(path), enable_etdump=True, program_verification=_C.Verification.InternalConsistency)
    method = traced.load_method(function)
    tensors = [torch.from_numpy(np.array(array)) for array in inputs]
    for _ in range(WARM_CALLS + calls):
        method(tensors)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.etdp")
        traced.write_etdump_result_to_file(str(trace))
        events = _events(trace)[-calls:]
    del runner
    taken: dict[str, list[float]] = defaultdict(list)
    delegates: dict[int, list[float]] = defaultdict(list)
    for event in (event for call in events for event in call):
        place, name = event["instruction_id"], event.get("name") or ""
        us = (event["end_time"] - event["start_time"]) / 1000
        if name.startswith("native_call_"):
            taken[f"{place}: {name.removeprefix('native_call_').partition('.')[0]}"].append(us)
        elif name == "DELEGATE_CALL":
            delegates[place].append(us)
        elif product := _product(event.get("delegate_debug_id_str") or ""):
            taken[f"{place}: XNNPACK {product}"].append(us)
    times_us = {name: _mean(times) for name, times in taken.items()}
    other_us = {}
    for place, times in delegates.items():
        inside = sum(us for name, us in times_us.items() if name.startswith(f"{place}: XNNPACK "))
        other_us[f"XNNPACK graph {place}, operators too short to tell apart"] = max(0.0, _mean(times) - inside)
    return Profile(SOURCE, times_us, other_us)


def _mean(times: list[float]) -> float:
    """Without the slowest tenth, in which another process may have had the processor."""
    return float(np.mean(np.sort(times)[: max(1, len(times) * 9 // 10)]))


def _product(event: str) -> str | None:
    """ "FullyConnected #2" of "Fully Connected (NC, QDU8, F32, QC8W) GEMM #2"; None of another operator's event."""
    for begin, node in PRODUCTS.items():
        if event.startswith(begin + " ("):
            number = event.rpartition("#")[2]
            return node if number == "1" else f"{node} #{number}"
    return None


def _events(trace: Path) -> list[list[dict[str, Any]]]:
    """The profiling events of each execution in a trace."""
    schemas = importlib.resources.files("executorch") / "devtools" / "etdump"
    for name in ("etdump_schema_flatcc.fbs", "scalar_type.fbs"):
        trace.with_name(name).write_bytes((schemas / name).read_bytes())
    _flatc_decompile(
        str(trace.parent), str(trace.with_name("etdump_schema_flatcc.fbs")), str(trace), ["--size-prefixed"]
    )
    runs = json.loads(trace.with_suffix(".json").read_text("utf-8"))["run_data"]
    found = [[event["profile_event"] for event in run["events"] or [] if event.get("profile_event")] for run in runs]
    return [events for events in found if any(event.get("name") == "Method::execute" for event in events)]
