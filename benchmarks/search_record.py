"""What a search found: every trial with its settings and figures, the Pareto front, the chosen point.

Figures only, as in benchmarks/record.py: null is what was not measured. Where a trial has several targets its score is
the least of theirs, its bytes and its time are the most: a budget holds on each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from edgewright.benchmarks.record import Interval, Machine, plain
from edgewright.errors import DamagedFileError

SCHEMA = 1
Verdict = Literal["fits", "over_budget", "refused"]  # refused: such a model cannot be made; the reason says why


@dataclass(frozen=True)
class TargetFigures:
    """What a trial is on one target. quiet: the machine had nothing else to do while it was timed."""

    numerics: str
    shipped_bytes: int
    p50_ms: Interval | None = None  # text -> label
    quiet: bool | None = None
    score: float | None = None  # of the file, on validation


@dataclass(frozen=True)
class Trial:
    """One point. trained: False where sizes or times alone showed that it breaks the budget.

    weights: SHA-256 of the checkpoint. recipe: the plain recipe that makes it, beside the record.
    """

    number: int
    settings: dict[str, Any]
    verdict: Verdict
    recipe: str
    reason: str | None = None
    trained: bool = False
    score: float | None = None
    shipped_bytes: int | None = None
    p50_ms: Interval | None = None
    targets: dict[str, TargetFigures] = field(default_factory=dict)
    weights: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SearchRecord:
    """front, chosen, nearest: numbers of trials. nearest: where nothing fits, those that miss the least. relax: what
    bound would have to move for it. found: the chosen point's recipe. test: its figures by target, on the test split.
    lost: how often a process or a machine was lost and its step done again, in the last call."""

    recipe: str
    task: str
    metric: str
    effort: str
    seed: int
    max_ms: float | None
    max_bytes: int | None
    targets: tuple[str, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    chosen: int | None
    nearest: tuple[int, ...]
    relax: str | None
    found: str | None
    test: dict[str, dict[str, float | None]]
    space: dict[str, Any]
    created: str
    machine: Machine
    lost: int = 0
    generated: bool = False  # the data is made by edgewright itself
    notes: tuple[str, ...] = ()
    kind: str = "search"
    schema: int = SCHEMA

    def trial(self, number: int) -> Trial:
        return next(one for one in self.trials if one.number == number)


def to_json(record: SearchRecord) -> dict[str, Any]:
    """The record as JSON values, `schema` first."""
    values = plain(asdict(record))
    return {"schema": values.pop("schema"), "kind": values.pop("kind"), **values}


def from_json(values: Any, place: str) -> SearchRecord:
    """Raises DamagedFileError: no such record; `place` names it."""
    try:
        return TypeAdapter(SearchRecord).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedFileError(f"{place}: no record of a search: {where}: {first['msg']}") from error


def front_of(trials: Sequence[Trial]) -> tuple[int, ...]:
    """The trials that fit and that no other one beats: none is as good in everything and better in something. The most
    accurate first."""
    fit = [one for one in trials if one.trained and one.verdict == "fits"]
    kept = [one for one in fit if not any(_beats(other, one) for other in fit)]
    return tuple(one.number for one in sorted(kept, key=rank))


def chosen_of(trials: Sequence[Trial]) -> int | None:
    """The most accurate on validation that fits; of equals the smaller, then the faster, then the earlier one."""
    fit = [one for one in trials if one.trained and one.verdict == "fits"]
    return min(fit, key=rank).number if fit else None


def rank(trial: Trial) -> tuple[float, float, float, int]:
    """Ascending: the better one first."""
    score, size, time = _figures(trial)
    return -score, size, time, trial.number


def misses(trial: Trial, max_ms: float | None, max_bytes: int | None) -> dict[str, float]:
    """By how much of each bound the trial is above it: {"max_bytes": 0.04} is 4 %. Negative within; what was not
    measured is absent."""
    found = {}
    if max_bytes is not None and trial.shipped_bytes is not None:
        found["max_bytes"] = trial.shipped_bytes / max_bytes - 1
    if max_ms is not None and trial.p50_ms is not None:
        high = trial.p50_ms.value if trial.p50_ms.high is None else trial.p50_ms.high
        found["max_ms"] = high / max_ms - 1
    return found


def worst(figures: Sequence[TargetFigures]) -> tuple[float | None, int | None, Interval | None]:
    """Score, bytes and time of a trial from those of its targets."""
    found = [one.score for one in figures if one.score is not None]
    sizes = [one.shipped_bytes for one in figures]
    times = [one.p50_ms for one in figures if one.p50_ms is not None]
    slowest = max(times, key=lambda one: one.value if one.high is None else one.high, default=None)
    return min(found, default=None), max(sizes, default=None), slowest


def _beats(one: Trial, other: Trial) -> bool:
    first, second = _figures(one), _figures(other)
    no_worse = first[0] >= second[0] and first[1] <= second[1] and first[2] <= second[2]
    return no_worse and first != second


def _figures(trial: Trial) -> tuple[float, float, float]:
    assert trial.score is not None and trial.shipped_bytes is not None
    return trial.score, trial.shipped_bytes, trial.p50_ms.value if trial.p50_ms else 0.0
