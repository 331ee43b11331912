"""The training loop of models that write replies: each next token is learnt with the right ones before it.

As the loop of classifiers (trainer.py) it is deterministic from the seed, saves its whole state after every epoch and
goes on from there bit for bit; perplexity on validation chooses the epoch.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.pair_batches import Batch, EncodedPairs, batch_count, batches, in_order
from edgewright.data.sampling import PADDING
from edgewright.errors import UsageError
from edgewright.train import state
from edgewright.train.processes import join
from edgewright.train.schedule import rate

Progress = Callable[[int, int, str], None]  # (epochs done, epochs in all, what there is to say)


@dataclass(frozen=True, config={"extra": "forbid"})
class PairsConfig:
    """The [train] table of a recipe that trains on pairs."""

    epochs: Annotated[int, Field(ge=1)] = 12
    rows: Annotated[int | None, Field(ge=1)] = None  # at most so many training pairs; whoever loads them keeps to it
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps; see schedule.py
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    patience: Annotated[int | None, Field(ge=1)] = None  # stop after so many epochs without a better one
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] = 1  # of the CPU; another number sums in another order: other last bits


@plain_dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean training loss of a batch, and validation perplexity a token."""

    epoch: int
    loss: float
    perplexity: float


@plain_dataclass(frozen=True)
class Trained:
    """best: the epoch whose weights the model now has."""

    best: Epoch
    history: list[Epoch]


def train(
    model: nn.Module,
    training: EncodedPairs,
    validation: EncodedPairs,
    config: PairsConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
) -> Trained:
    """Train `model` in place, a `forward(source, target)` as in hybrid.py, and leave its best epoch's weights in it.

    `folder` holds the state of an interrupted run (`state.safetensors`); a finished run leaves none.

    Raises:
        UsageError: torchrun started several processes: this loop takes one.
    """
    with join() as processes:
        if processes.count > 1:
            raise UsageError(f"training on pairs takes one process, not {processes.count}; start it without torchrun")
        return _train(model, training, validation, config, folder, progress, processes.device)


def perplexity(model: nn.Module, pairs: EncodedPairs, batch_size: int = 128) -> float:
    """e to the mean cross-entropy a token of the replies, end tokens included: among so many tokens the model wavers.

    Infinite where it is too large for a float.
    """
    model.eval()
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    with torch.inference_mode():
        for batch in in_order(pairs, batch_size):
            total += float(_loss(model, batch, device, 0.0, "sum"))
            tokens += int((batch.wanted != PADDING).sum())
    mean = total / tokens
    return math.exp(mean) if mean < 700 else math.inf


def _train(
    model: nn.Module,
    training: EncodedPairs,
    validation: EncodedPairs,
    config: PairsConfig,
    folder: Path,
    progress: Progress,
    device: torch.device,
) -> Trained:
    torch.set_num_threads(config.threads)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * batch_count(len(training), config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, config.warmup))
    run = state.Run(model, optimizer, schedule, averaged={})
    history = [Epoch(int(number), loss, score) for number, loss, score in state.load(run, folder)]
    best = _best(history)

    while len(history) < config.epochs and not _finished(history, config.patience):
        epoch = len(history)
        # every epoch has its own random numbers (dropout), so that a resumed run needs no saved generator
        torch.manual_seed(config.seed * 10_000 + epoch)
        model.train()
        losses = []
        for batch in batches(training, config.batch_size, config.seed, epoch):
            loss = _loss(model, batch, device, config.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        history.append(Epoch(epoch, float(torch.stack(losses).mean()), perplexity(model, validation)))
        if best is None or history[-1].perplexity < best.perplexity:
            best = history[-1]
            run.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        state.save(run, [[one.epoch, one.loss, one.perplexity] for one in history], folder)
        said = f"loss {history[-1].loss:.3f}, validation perplexity {history[-1].perplexity:.2f}"
        progress(len(history), config.epochs, said)

    assert best is not None, "at least one epoch"
    model.load_state_dict(run.best)
    model.to("cpu").eval()
    state.remove(folder)
    return Trained(best, history)


def _loss(model: nn.Module, batch: Batch, device: torch.device, smoothing: float, reduction: str = "mean") -> Tensor:
    """Cross-entropy over the tokens of the replies; padding does not count."""
    source, given, wanted = (torch.from_numpy(part).to(device) for part in (batch.source, batch.given, batch.wanted))
    with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext():
        logits = model(source, given)
    return F.cross_entropy(
        logits.float().flatten(0, 1),
        wanted.flatten(),
        ignore_index=PADDING,
        label_smoothing=smoothing,
        reduction=reduction,
    )


def _best(history: list[Epoch]) -> Epoch | None:
    return min(history, key=lambda one: one.perplexity, default=None)  # the first of equals, as in the loop


def _finished(history: list[Epoch], patience: int | None) -> bool:
    best = _best(history)
    return best is not None and patience is not None and len(history) - 1 - best.epoch >= patience
