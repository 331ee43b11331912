"""Which parameters a training changes, and how fast: for a pretrained body under a fresh head."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from edgewright.errors import UsageError

HEAD = "head"


def freeze(model: nn.Module, names: Sequence[str]) -> None:
    """Let all parameters under these names ("embedding", "layers.0") keep their values.

    Raises:
        UsageError: the model has no parameter under one of them, or none is left to train.
    """
    for name in names:
        chosen = [parameter for full, parameter in model.named_parameters() if under(full, name)]
        if not chosen:
            known = ", ".join(child for child, _ in model.named_children())
            raise UsageError(f"[train]: freeze: the model has no parameter under '{name}'; its parts: {known}")
        for parameter in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError("[train]: freeze: nothing is left to train; freeze fewer parts")


def groups(model: nn.Module, rate: float, head_rate: float | None) -> list[dict[str, Any]]:
    """The optimizer's groups of the parameters that are not frozen: all at `rate`, or the head's at `head_rate`.

    Raises:
        UsageError: a rate for a head that the model does not have, or that is frozen.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if head_rate is None:
        return [{"params": list(trained.values()), "lr": rate}]
    head = [parameter for name, parameter in trained.items() if under(name, HEAD)]
    if not head:
        raise UsageError(f"[train]: head_learning_rate: the model has no part '{HEAD}' to train; remove it")
    body = [parameter for name, parameter in trained.items() if not under(name, HEAD)]
    return [{"params": params, "lr": lr} for params, lr in ((body, rate), (head, head_rate)) if params]


def under(full: str, name: str) -> bool:
    """Whether "layers.0.up.weight" is under "layers.0"; "layers.01" is not."""
    return full == name or full.startswith(name + ".")
