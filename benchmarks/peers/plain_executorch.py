"""Our checkpoint as ExecuTorch's "Getting Started" exports and runs it.

Source: https://docs.pytorch.org/executorch/stable/getting-started.html
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from executorch.extension.pybindings import _C
from executorch.runtime import Runtime
from numpy.typing import NDArray

from edgewright.benchmarks.peers import plain
from edgewright.runtimes.native_log import quiet_stderr

MODEL = "model.pte"


def export(checkpoint: Path, tokenizer: Path, length: int, names: Sequence[str], folder: Path) -> None:
    """Fill `folder` from a model.safetensors and a tokenizer.json of ours."""
    # only here: a prediction does not need the exporter
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from edgewright.models.checkpoint import load_model

    model = load_model(checkpoint).eval()
    exported = torch.export.export(model, model.example_inputs(length))  # type: ignore[operator]
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / MODEL).write_bytes(program.buffer)
    plain.write_rest(tokenizer, length, names, folder)


def load(folder: Path, threads: int = 1) -> plain.PlainPeer:
    tokenizer, length = plain.read_rest(folder)
    # the one thing that its Python API cannot set: by default as many threads as cores, also where one is allowed
    if _C._threadpool_get_thread_count() != threads:
        with quiet_stderr():
            _C._unsafe_reset_threadpool(threads)
    if not (folder / MODEL).is_file():
        raise plain.damaged(folder / MODEL, FileNotFoundError("no such file"))
    try:
        with quiet_stderr():
            method = Runtime.get().load_program(str(folder / MODEL)).load_method("forward")
    except RuntimeError as error:
        raise plain.damaged(folder / MODEL, error) from error
    assert method is not None

    def run(ids: NDArray[np.int32]) -> np.ndarray:
        return np.asarray(method.execute([torch.from_numpy(ids)])[0].numpy())

    return plain.PlainPeer(tokenizer, length, run)
