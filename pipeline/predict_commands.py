"""What `predict` answers: labels and entities of texts, scores of log lines, bits of characters."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import DataError, UsageError
from edgewright.runtimes import opening
from edgewright.runtimes.stream import CharacterStream, Likely, LogStream, open_stream

LIKELIEST = 5  # characters that are named as what may come next


@dataclass(frozen=True)
class LineScore:
    """line: its number, from 1. score: its surprise in nats, higher for a more anomalous one; see LogStream."""

    line: int
    score: float


@dataclass(frozen=True)
class CharactersRead:
    """line: its number, from 1; None: all lines together. characters: those that were counted, line ends among them.

    unknown: those that the vocabulary lacks, which no model can foresee; they are not counted. bits: a character; None
    where none was counted. next: what may come next, the likeliest first; of a TEXT only.
    """

    line: int | None
    characters: int
    unknown: int
    bits: float | None
    next: tuple[Likely, ...] = ()


def predict(
    bundle: str, text: str | None, file: Path | None, runtime: str | None = None, numerics: str | None = None
) -> Iterator[Any]:
    """One answer for TEXT, or one for each line of a file or of stdin, as soon as it is read.

    A Prediction or a tuple of Entity; of a bundle that reads sequences, whose lines are one stream, a LineScore or a
    CharactersRead, the last of which is of all lines.

    Raises:
        UsageError: the bundle, the runtime, or TEXT and a file. DataError: a line; it is named by its number.
    """
    if text is not None and file is not None:
        raise UsageError("--file: give TEXT or a file, not both")
    opened = opening.opened_bundle(bundle)
    if opened.kind != "sequence":
        predictor = opening.open_predictor(opened, runtime, numerics)
        for line in [text] if text is not None else lines_of(file):
            yield predictor.predict(line)
        return
    stream = open_stream(opened, runtime, numerics)
    lines = iter(text.split("\n")) if text is not None else lines_of(file)
    if isinstance(stream, LogStream):
        yield from _scores(stream, lines)
    elif not isinstance(stream, CharacterStream):
        raise UsageError(f"{opened.path}: it reads numbers, not text; use edgewright.runtimes.stream.open_stream")
    elif text is not None:
        stream.reset()
        yield _read(None, stream.read(text), stream.likeliest(LIKELIEST))
    else:
        yield from _bits(stream, lines)


def lines_of(file: Path | None) -> Iterator[str]:
    """The lines of a file, or of stdin, without their ends.

    Raises:
        DataError: one is not UTF-8. OSError: the file cannot be read.
    """
    place = "stdin" if file is None else str(file)
    with nullcontext(sys.stdin.buffer) if file is None else file.open("rb") as given:
        for number, line in enumerate(given, start=1):
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(f"{place}, line {number}: is not UTF-8 text; convert it first") from error


def _scores(stream: LogStream, lines: Iterator[str]) -> Iterator[LineScore]:
    number = 0
    for number, line in enumerate(lines, start=1):
        yield LineScore(number, stream.score(line))
    if not number:
        raise DataError("there is no line to score; give log lines of the form 'TIME LEVEL COMPONENT MESSAGE'")


def _bits(stream: CharacterStream, lines: Iterator[str]) -> Iterator[CharactersRead]:
    surprises = []
    for number, line in enumerate(lines, start=1):
        surprises.append(stream.read(f"{line}\n"))
        yield _read(number, surprises[-1])
    if not surprises:
        raise DataError("there is no line to read; give text, one line a line")
    yield _read(None, np.concatenate(surprises))


def _read(line: int | None, surprises: np.ndarray, likely: Sequence[Likely] = ()) -> CharactersRead:
    counted = surprises[~np.isnan(surprises)]
    bits = float(counted.mean() / np.log(2)) if len(counted) else None
    return CharactersRead(line, len(counted), len(surprises) - len(counted), bits, tuple(likely))
