"""Everything that a training run needs to go on after a kill, in one safetensors file."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgewright.data.files import write_atomically
from edgewright.errors import DamagedFileError

FILE = "state.safetensors"


@dataclass
class Run:
    """The parts of a run that change: all are read and written in place."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    averaged: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)


def save(run: Run, history: list[list[float]], folder: Path) -> None:
    """Write the state after an epoch. Random numbers need none: each epoch seeds them anew."""
    tensors = {f"model/{name}": value for name, value in run.model.state_dict().items()}
    tensors |= {f"averaged/{name}": value for name, value in run.averaged.items()}
    tensors |= {f"best/{name}": value for name, value in run.best.items()}
    for index, values in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in values.items()}
    metadata = {"history": json.dumps(history), "step": str(run.schedule.last_epoch)}
    copies = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    write_atomically(folder / FILE, lambda path: save_file(copies, path, metadata))


def load(run: Run, folder: Path) -> list[list[float]]:
    """Restore `run` and answer its history; an empty one when there is nothing to go on from."""
    path = folder / FILE
    if not path.exists():
        return []
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
        history: list[list[float]] = json.loads(metadata["history"])
        step = int(metadata["step"])
        run.model.load_state_dict(_part(tensors, "model"))
        for name, value in _part(tensors, "averaged").items():
            run.averaged[name].copy_(value)
        run.best = _part(tensors, "best")
        _load_optimizer(run.optimizer, _part(tensors, "optimizer"))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedFileError(f"{path}: not a training state ({error}); delete it to start over") from error
    run.schedule.last_epoch = step
    for group, base, rate in zip(
        run.optimizer.param_groups, run.schedule.base_lrs, run.schedule.lr_lambdas, strict=True
    ):
        group["lr"] = base * rate(step)
    return history


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix + "/"): value for name, value in tensors.items() if name.startswith(prefix + "/")}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    saved = optimizer.state_dict()
    saved["state"] = {}
    for name, value in tensors.items():
        index, key = name.split("/", 1)
        saved["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(saved)
