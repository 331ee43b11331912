"""Progress on stderr: a bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

PLAIN_SECONDS = 3.0


class Reporter:
    """What a long command says while it works; every method is quiet when `quiet`."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        seconds = time.monotonic() - self._started
        self.console.print(f"[dim]{seconds:6.1f} s[/dim]  {text}", highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator["Bar"]:
        """A bar for `total` steps."""
        if not self.console.is_terminal:
            yield PlainBar(self, title, total)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total, note="")
            yield RichBar(progress, task)


class PlainBar:
    """Outside a terminal: a line every few seconds, none for what is done sooner."""

    def __init__(self, reporter: Reporter, title: str, total: int) -> None:
        self._reporter, self._title, self._total, self._said = reporter, title, total, time.monotonic()

    def update(self, done: int, note: str = "", total: int | None = None) -> None:
        self._total = total or self._total
        if time.monotonic() - self._said > PLAIN_SECONDS:
            self._said = time.monotonic()
            self._reporter.say(f"      {self._title} {done}/{self._total} {note}".rstrip())


class RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, done: int, note: str = "", total: int | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total, note=note)


Bar = PlainBar | RichBar
