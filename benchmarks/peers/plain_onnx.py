"""Our checkpoint as torch.onnx's own example exports it, in a default session of ONNX Runtime.

Source: https://docs.pytorch.org/tutorials/beginner/onnx/export_simple_model_to_onnx_tutorial.html
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgewright.benchmarks.peers import plain

MODEL = "model.onnx"


def export(checkpoint: Path, tokenizer: Path, length: int, names: Sequence[str], folder: Path) -> None:
    """Fill `folder` from a model.safetensors and a tokenizer.json of ours."""
    # only here: a prediction does not need torch
    import torch

    from edgewright.models.checkpoint import load_model

    model = load_model(checkpoint).eval()
    program = torch.onnx.export(model, model.example_inputs(length), dynamo=True, verbose=False)  # type: ignore[operator]
    assert program is not None
    program.save(str(folder / MODEL))
    plain.write_rest(tokenizer, length, names, folder)


def load(folder: Path, threads: int = 1) -> plain.PlainPeer:
    tokenizer, length = plain.read_rest(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(folder / MODEL), sess_options=options)
    except Exception as error:  # the runtime raises classes of its own
        raise plain.damaged(folder / MODEL, error) from error
    name = session.get_inputs()[0].name

    def run(ids: NDArray[np.int32]) -> np.ndarray:
        return np.asarray(session.run(None, {name: ids})[0])

    return plain.PlainPeer(tokenizer, length, run)
