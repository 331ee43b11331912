"""One runtime per file, all with the same `load(path, threads) -> Runner`; `pytorch` is the reference.

Nothing here but `pytorch` and `executorch` imports torch: a device or a server predicts without it.
"""

from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from edgewright.errors import missing_extra

Runtime = Literal["pytorch", "executorch", "litert", "coreml", "onnx"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


class Runner(Protocol):
    """A loaded artifact."""

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        The arrays have one of the method's shapes: the file's batch and a length that is a bucket.
        """
        ...


def load(runtime: Runtime, path: Path, threads: int = 1) -> Runner:
    """Open an artifact with its runtime.

    Raises:
        MissingExtraError: the runtime is not installed.
        DamagedFileError: the file is not one that the runtime can load.
    """
    try:
        module = import_module(f"edgewright.runtimes.{runtime}")
    except ImportError as error:
        raise missing_extra(error, runtime, f"the {runtime} runtime") from error
    return module.load(path, threads)
