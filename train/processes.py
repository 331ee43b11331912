"""One process, or the several that `torchrun` started: rank, device, and the wrapper that averages gradients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from edgewright.errors import UsageError


@dataclass(frozen=True)
class Processes:
    rank: int
    count: int
    device: torch.device

    def wrap(self, model: nn.Module) -> nn.Module:
        """`model`, or the same with gradients averaged over all processes."""
        if self.count == 1:
            return model
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)


def rank() -> int:
    """The number of this process among those that torchrun started; 0 without it."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def join(alone: bool = False) -> Iterator[Processes]:
    """The group that torchrun's environment names (RANK, WORLD_SIZE, LOCAL_RANK); one process without it.

    Raises:
        UsageError: there are several processes for something that one must do alone.
    """
    cuda = torch.cuda.is_available()
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if alone and count > 1:
        raise UsageError(f"this training takes one process, not {count}; start it without torchrun")
    if count == 1:
        yield Processes(0, 1, torch.device("cuda", 0) if cuda else torch.device("cpu"))
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    local = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
