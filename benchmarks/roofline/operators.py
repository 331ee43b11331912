"""The operators of an artifact for inputs of one length, with their multiply-adds and bytes."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from edgewright.benchmarks.roofline.work import Work
from edgewright.errors import missing_extra
from edgewright.runtimes import Runtime

READERS = {"litert": "litert_operators", "executorch": "executorch_operators", "onnx": "onnx_operators"}


def operators_of(runtime: Runtime, path: Path, inputs: Sequence[np.ndarray]) -> list[Work]:
    """The operators of the method "forward" that runs for arrays of these shapes, in the order of the file.

    LiteRT and ExecuTorch: as stored. ONNX: as ONNX Runtime runs them after it has fused some of them, since a file
    has each quantized product in five parts.

    Raises:
        ValueError: a runtime without a reader, or no function of the file takes these shapes.
        MissingExtraError: the runtime's libraries are not installed.
    """
    if runtime not in READERS:
        raise ValueError(f"operators of {runtime} cannot be read; one of {', '.join(READERS)}")
    try:
        reader = import_module(f"edgewright.benchmarks.roofline.{READERS[runtime]}")
    except ImportError as error:
        raise missing_extra(error, runtime, f"the operators of {runtime}") from error
    return reader.operators_of(path, inputs)
