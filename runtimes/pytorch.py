"""PyTorch on the CPU: the reference that every other runtime is compared with."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgewright.models.checkpoint import load_model

SUFFIX = ".safetensors"


class PyTorchRunner:
    """A module in evaluation mode, any batch and length. It runs with the threads that the process has."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        """The outputs of one call, in the method's order, as new arrays.

        Raises:
            ValueError: the module has no such method, or it does not take these shapes and types.
        """
        call = getattr(self.module, method, None)
        if not callable(call):
            raise ValueError(f"{type(self.module).__name__} has no method '{method}'")
        try:
            with torch.inference_mode():
                # a copy where torch would warn that it cannot promise not to write
                outputs = call(*(torch.from_numpy(a if a.flags.writeable else a.copy()) for a in arrays))
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            given = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{type(self.module).__name__}.{method} does not take ({given}): {reason}") from error
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        return tuple(output.numpy() for output in outputs)


def load(path: Path, threads: int = 1) -> PyTorchRunner:
    """The float model of a checkpoint. The number of threads is set for the whole process: PyTorch has no other.

    Raises:
        DamagedFileError: see models/checkpoint.py.
    """
    module = load_model(path)
    torch.set_num_threads(threads)
    return PyTorchRunner(module)
