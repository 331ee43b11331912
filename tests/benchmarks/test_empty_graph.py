"""Each runtime's empty graph loads and runs in that runtime."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks.empty_graph import empty_graph, empty_inputs
from edgewright.runtimes import Runtime, load

LIBRARIES: dict[Runtime, str] = {"litert": "ai_edge_litert", "onnx": "onnxruntime", "executorch": "executorch"}


@pytest.mark.parametrize("runtime", LIBRARIES)
def test_the_empty_graph_only_casts_its_input(runtime: Runtime, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[runtime], reason=f"needs edgewright[{runtime}]")
    path = empty_graph(runtime, tmp_path)
    assert path is not None and path.stat().st_size < 2000
    assert path.suffix == importlib.import_module(f"edgewright.runtimes.{runtime}").SUFFIX
    (ids,) = empty_inputs()
    (answer,) = load(runtime, path).run(ids)
    assert answer.dtype == np.float32 and answer.tolist() == ids.tolist()


@pytest.mark.parametrize("runtime", ["coreml", "pytorch"])
def test_runtimes_whose_calls_are_not_judged_have_none(runtime: Runtime, tmp_path: Path) -> None:
    assert empty_graph(runtime, tmp_path) is None
