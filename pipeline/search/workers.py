"""What a search asks of those who do its work, wherever they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Step = Literal["draft", "times", "train", "test"]


@dataclass(frozen=True)
class Done:
    """A step of a trial that ended: with its answer, or with one line that says why there is none.

    lost: the process or the machine is gone that did it; the step is to be done again.
    """

    trial: int
    step: Step
    answer: dict[str, Any] | None = None
    refused: str | None = None
    failed: str | None = None
    lost: str | None = None


class Workers(Protocol):
    """Trials are numbered; a trial has one step at a time."""

    @property
    def slots(self) -> int:
        """How many trials are worked on at a time."""

    def start(self, trial: int, step: Step, recipe: Path) -> None:
        """Begin a step of a trial. Of "times" nothing else runs on the machine where it is done."""

    def next(self) -> Done:
        """Wait for the next step that ends."""

    def close(self) -> None:
        """End all processes."""


def done(trial: int, step: Step, said: dict[str, Any]) -> Done:
    """The answer of worker.answer."""
    return Done(trial, step, said.get("ok"), said.get("refused"), said.get("failed"))
