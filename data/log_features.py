"""Log lines as numbers for a sequence model: what was said, by whom, how long it took, how long after the last time.

Lines are read thread by thread: a session, a job, or what a component says on its own. A model reads a thread line by
line and says what comes next; a line that it did not expect is anomalous (as in Du et al. 2017, "DeepLog",
https://doi.org/10.1145/3133956.3134015, without its parsers: a template is a hash).
Shapes: L lines, F features, N rows, T lines a row.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edgewright.data.log_lines import LEVELS
from edgewright.errors import DataError

BUCKETS = 101  # a prime, so that all bits of the hash count; of the 27 templates of generated lines, two share one
NUMBERS = (
    "took",  # milliseconds
    "has_took",
    "value",  # the first "name=NUMBER" of the line
    "since_thread",  # seconds since the last line of the thread
    "since_template",  # seconds since the last line of the template, in whatever thread
    "took_change",  # "took" less the usual one of the template
    "took_trend",  # the same of the last few lines of the template together
    "value_change",  # "value" less the usual one of the template
)
MOST_THREADS = 100_000  # threads that a reader remembers; the one that was silent longest is forgotten first
# Templates that it remembers, likewise: real logs have some thousands, and only a line that nothing stars out, such as
# one with a name in it, makes more. One that comes back after so many others is read as for the first time.
MOST_TEMPLATES = 10_000
MOST_CHARACTERS = 4_000  # of a line that are read; a stack trace on one line says who it is at its beginning
SLOW, FAST = 1 / 500, 1 / 8  # of the running means: the usual is that of about the last 500 lines of a template

_LINE = re.compile(r"(\S+) ([A-Z]+) (\S+) (\S.*)")
_THREAD = re.compile(r"\b(?:session|job)=\S+")
_PART = re.compile(r"[^\s/?=]+")
_DIGIT = re.compile(r"\d")
_STATUS = re.compile(r"[1-5]\d\d")  # of HTTP: it stays in the template
_TOOK = re.compile(r"(-?\d+)ms\b")
_VALUE = re.compile(r"=(-?\d+(?:\.\d+)?)(?=\s|$)")


@dataclass(frozen=True)
class LogFeatures:
    """Of each line: its template and level as ones among zeros, and numbers of about -2 to 2.

    values: (L, F) float32: `buckets` of the template, one of each of LEVELS, one of each of NUMBERS. threads: (L,)
    int32, the number of the line's thread, in the order of the threads' first lines.
    """

    values: NDArray[np.float32]
    threads: NDArray[np.int32]
    buckets: int

    @property
    def template(self) -> slice:
        """The columns of the template; exactly one of them is 1."""
        return slice(0, self.buckets)

    @property
    def level(self) -> slice:
        """The columns of the level; none is 1 where it is not one of LEVELS."""
        return slice(self.buckets, self.buckets + len(LEVELS))

    @property
    def numbers(self) -> slice:
        """The columns of NUMBERS."""
        return slice(self.buckets + len(LEVELS), self.buckets + len(LEVELS) + len(NUMBERS))


@dataclass(frozen=True)
class LogWindows:
    """Rows for a model that says each line from the lines before it in its thread.

    inputs: (N, T, F), the line before; zeros at the start of a thread and where a row is filled up. targets: (N, T, F).
    lines: (N, T) int32, the place of the target in the stream, -1 where the row is filled up. Each line is a target
    exactly once.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    lines: NDArray[np.int32]


def features(texts: Iterable[str], buckets: int = BUCKETS) -> LogFeatures:
    """The features of a stream of lines "TIME LEVEL COMPONENT MESSAGE", TIME in ISO 8601.

    Raises:
        DataError: a line is not of that form; the message has its number, from 1, and nothing of its text.
    """
    reader = LogReader(buckets)
    rows: list[NDArray[np.float32]] = []
    threads: dict[str, int] = {}
    numbers: list[int] = []
    for text in texts:
        row, thread = reader.read(text)
        rows.append(row)
        numbers.append(threads.setdefault(thread, len(threads)))
    values = np.stack(rows) if rows else np.zeros((0, reader.width), np.float32)
    return LogFeatures(values, np.array(numbers, np.int32), buckets)


class LogReader:
    """Reads the lines of a stream one by one, as they come: `features` is all of them at once."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self.buckets = buckets
        self.width = buckets + len(LEVELS) + len(NUMBERS)
        self._lines = 0
        self._last_of_thread: OrderedDict[str, float] = OrderedDict()
        self._known: OrderedDict[str, _Usual] = OrderedDict()

    def read(self, text: str) -> tuple[NDArray[np.float32], str]:
        """The values (F,) of the next line, of its first MOST_CHARACTERS, and the name of its thread.

        Raises:
            DataError: as `features`.
        """
        self._lines += 1
        match = _LINE.fullmatch(text[:MOST_CHARACTERS])
        if match is None:
            raise DataError(
                f"log line {self._lines}: not of the form 'TIME LEVEL COMPONENT MESSAGE'; repair or remove it"
            )
        time, level, component, message = match.groups()
        seconds = _seconds(time, self._lines)
        thread = _thread(component, message)
        template = template_of(component, message)
        row = np.zeros(self.width, np.float32)
        row[crc32(template.encode()) % self.buckets] = 1.0
        if level in LEVELS:
            row[self.buckets + LEVELS.index(level)] = 1.0
        took, value = _number(_TOOK, message), _number(_VALUE, message)
        usual = self._known.setdefault(template, _Usual(seconds))
        took_change, took_trend, value_change = usual.changes(took, value)
        row[self.buckets + len(LEVELS) :] = [
            0.0 if took is None else took / 5,
            0.0 if took is None else 1.0,
            0.0 if value is None else value / 5,
            _squeezed(seconds - self._last_of_thread.get(thread, seconds)) / 3,
            _squeezed(seconds - usual.seconds) / 3,
            took_change,
            took_trend,
            value_change,
        ]
        self._last_of_thread[thread] = usual.seconds = seconds
        self._last_of_thread.move_to_end(thread)
        if len(self._last_of_thread) > MOST_THREADS:
            self._last_of_thread.popitem(last=False)
        self._known.move_to_end(template)
        if len(self._known) > MOST_TEMPLATES:
            self._known.popitem(last=False)
        return row, thread


def template_of(component: str, message: str) -> str:
    """The line without what varies: each part that holds a digit is "*", but for an HTTP status."""

    def starred(match: re.Match[str]) -> str:
        varies = _DIGIT.search(match[0]) and not _STATUS.fullmatch(match[0])
        return "*" if varies else match[0]

    return f"{component} {_PART.sub(starred, message)}"


def scores_alone(found: LogFeatures, normal: LogFeatures) -> NDArray[np.float64]:
    """(L,) how unlikely each line is on its own: how rare its template is in `normal`, how unusual its numbers for it.

    No model reads the lines before it (the running means in the features do): the floor for one that does.
    """
    buckets = np.argmax(normal.values[:, normal.template], axis=1)
    counts = np.bincount(buckets, minlength=normal.buckets)
    numbers = normal.values[:, normal.numbers]
    mean = np.zeros((normal.buckets, len(NUMBERS)))
    spread = np.full((normal.buckets, len(NUMBERS)), 0.3)
    for bucket in np.flatnonzero(counts):
        mean[bucket] = numbers[buckets == bucket].mean(axis=0)
        spread[bucket] = numbers[buckets == bucket].std(axis=0) + 0.01  # a number that never changes has none
    here = np.argmax(found.values[:, found.template], axis=1)
    surprise = ((found.values[:, found.numbers] - mean[here]) / spread[here]) ** 2 / 2 + np.log(spread[here])
    likely = (counts[here] + 0.01) / counts.sum()
    return np.asarray(surprise.sum(axis=1) - np.log(likely))


def windows(found: LogFeatures, length: int) -> LogWindows:
    """All threads in rows of `length` lines, the threads in their order.

    A longer thread is several rows; each but the first begins with the line before as its input, so nothing is lost
    but what a model would remember from further back.
    """
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1")
    order = np.argsort(found.threads, kind="stable")
    threads = np.split(order, np.flatnonzero(np.diff(found.threads[order])) + 1)
    rows = [(thread, begin) for thread in threads for begin in range(0, len(thread), length)]
    lines = np.full((len(rows), length), -1, np.int32)
    previous = np.full((len(rows), length), -1, np.int32)
    for row, (thread, begin) in enumerate(rows):
        here = thread[begin : begin + length]
        lines[row, : len(here)] = here
        previous[row, 1 : len(here)] = here[:-1]
        if begin:
            previous[row, 0] = thread[begin - 1]
    values = np.concatenate([found.values, np.zeros((1, found.values.shape[1]), np.float32)])  # values[-1]: no line
    return LogWindows(values[previous], values[lines], lines)


@dataclass
class _Usual:
    """What the lines of one template had so far."""

    seconds: float  # of the last one
    count: int = 0
    took: float = 0.0
    took_lately: float = 0.0
    value: float = 0.0

    def changes(self, took: float | None, value: float | None) -> tuple[float, float, float]:
        """How far a line is from what came before it, and the means with it; 0 for the first."""
        first = self.count == 0
        self.count += 1
        slow = max(SLOW, 1 / self.count)  # at first the mean of all
        took_change = took_trend = value_change = 0.0
        if took is not None:
            self.took_lately = took if first else self.took_lately + FAST * (took - self.took_lately)
            if not first:
                took_change, took_trend = took - self.took, self.took_lately - self.took
            self.took += slow * (took - self.took)
        if value is not None:
            if not first:
                value_change = value - self.value
            self.value += slow * (value - self.value)
        return took_change, took_trend, value_change


def _number(pattern: re.Pattern[str], message: str) -> float | None:
    """The logarithm of the number that the pattern finds."""
    match = pattern.search(message)
    return None if match is None else _squeezed(float(match[1]))


def _seconds(time: str, number: int) -> float:
    try:
        found = datetime.fromisoformat(time)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise DataError(f"log line {number}: its time is not ISO 8601, such as 2026-01-05T00:00:00.000Z") from error


def _thread(component: str, message: str) -> str:
    found = _THREAD.search(message)
    return found[0] if found else component


def _squeezed(value: float) -> float:
    """Numbers of all sizes in a few units, the sign kept; beyond 10^15, which no log means, they stay there."""
    return math.copysign(math.log1p(min(abs(value), 1e15)), value)
