"""PyTorch on the CPU: the reference that every other runtime is compared with."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgewright.models.checkpoint import load_model

SUFFIX = ".safetensors"


class PyTorchRunner:
    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            outputs = getattr(self.module, method)(*(torch.from_numpy(array) for array in arrays))
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        return tuple(output.numpy() for output in outputs)


def load(path: Path, threads: int = 1) -> PyTorchRunner:
    """A checkpoint of models/checkpoint.py. The number of threads is the process's own, as PyTorch has it."""
    torch.set_num_threads(threads)
    return PyTorchRunner(load_model(path))
