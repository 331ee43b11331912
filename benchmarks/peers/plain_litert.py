"""Our checkpoint as litert-torch's own example converts it, in LiteRT's interpreter.

Source: https://github.com/google-ai-edge/litert-torch (README) and https://ai.google.dev/edge/litert/inference
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgewright.benchmarks.peers import plain
from edgewright.runtimes.native_log import quiet_stderr

MODEL = "model.tflite"


def export(checkpoint: Path, tokenizer: Path, length: int, names: Sequence[str], folder: Path) -> None:
    """Fill `folder` from a model.safetensors and a tokenizer.json of ours."""
    import litert_torch  # only here: a prediction needs neither the converter nor torch

    from edgewright.models.checkpoint import load_model

    model = load_model(checkpoint).eval()
    edge_model = litert_torch.convert(model, model.example_inputs(length))  # type: ignore[operator]
    edge_model.export(str(folder / MODEL))
    plain.write_rest(tokenizer, length, names, folder)


def load(folder: Path, threads: int = 1) -> plain.PlainPeer:
    tokenizer, length = plain.read_rest(folder)
    try:
        with quiet_stderr():  # it says that it made its delegate
            interpreter = Interpreter(model_path=str(folder / MODEL), num_threads=threads)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise plain.damaged(folder / MODEL, error) from error
    given, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(ids: NDArray[np.int32]) -> np.ndarray:
        interpreter.set_tensor(given, ids)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(answer))

    return plain.PlainPeer(tokenizer, length, run)
