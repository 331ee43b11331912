"""What a search found: every trial with its settings and figures, the Pareto front, the chosen point.

Figures only, as in benchmarks/record.py: null is what was not measured. Where a trial has several targets its score is
the least of theirs, its bytes and its time are the most: a budget holds on each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edgewright.benchmarks.record import Interval, Machine, checked, plain
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
class SearchedRange:
    """What one setting could be: one of `choices`, or a number from low to high. form: where it counts, None in all."""

    choices: tuple[int | float | str | bool, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False
    form: str | None = None


@dataclass(frozen=True)
class SearchedSpace:
    """families: the ranges of each, by "table.key". forms: for each form the numerics of every target. one: a target
    was chosen too."""

    families: dict[str, dict[str, SearchedRange]]
    forms: dict[str, dict[str, str]]
    targets: tuple[str, ...]
    one: bool


@dataclass(frozen=True)
class SearchRecord:
    """front, chosen, nearest: numbers of trials. nearest: where nothing fits, those that miss the least. relax: what
    bound would have to move for it. found: the chosen point's recipe. test: its figures by target, on the test split.
    lost: how often a process or a machine was lost and its step done again, in the last call. data: the set's name."""

    recipe: str
    task: str
    metric: str
    effort: str
    seed: int
    max_ms: Annotated[float, Field(gt=0)] | None
    max_bytes: Annotated[int, Field(gt=0)] | None
    targets: tuple[str, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    chosen: int | None
    nearest: tuple[int, ...]
    relax: str | None
    found: str | None
    test: dict[str, dict[str, float | None]]
    space: SearchedSpace
    created: str
    machine: Machine
    lost: int = 0
    generated: bool = False  # the data is made by edgewright itself
    notes: tuple[str, ...] = ()
    data: str | None = None  # older records lack both
    data_fingerprint: str | None = None
    kind: Literal["search"] = "search"
    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA

    def trial(self, number: int) -> Trial:
        return next(one for one in self.trials if one.number == number)


_RECORD = TypeAdapter(SearchRecord)


def to_json(record: SearchRecord) -> dict[str, Any]:
    """The record as JSON values, `schema` first."""
    values = plain(asdict(record))
    return {"schema": values.pop("schema"), "kind": values.pop("kind"), **values}


def from_json(values: Any, place: str) -> SearchRecord:
    """The record, checked; unknown keys are ignored, so that a later version may add some.

    Raises:
        DamagedFileError: no such record, or one that names a trial or a figure which it lacks; `place` names it.
    """
    record = checked(_RECORD, values, place, f"a record of a search, schema {SCHEMA}")
    numbers = {trial.number for trial in record.trials}
    named = {*record.front, *record.nearest, *([] if record.chosen is None else [record.chosen])}
    if missing := sorted(named - numbers):
        raise DamagedFileError(f"{place}: names trial {missing[0]}, which is none of its {len(numbers)} trials")
    for trial in record.trials:
        if trial.trained and (trial.score is None or trial.shipped_bytes is None):
            raise DamagedFileError(f"{place}: trial {trial.number} was trained, but has no score or no size")
    return record


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


def inconsistencies(record: SearchRecord) -> list[str]:
    """What a record says that does not follow from its trials and its budget, a line each."""
    wrong = []
    for trial in record.trials:
        over = any(miss > 0 for miss in misses(trial, record.max_ms, record.max_bytes).values())
        if trial.verdict == "fits" and (over or not trial.trained):
            wrong.append(f"trial {trial.number} is said to fit, but breaks the budget or was not trained")
        if trial.trained and (trial.score, trial.shipped_bytes, trial.p50_ms) != worst(list(trial.targets.values())):
            wrong.append(f"the figures of trial {trial.number} are not the worst of its targets'")
    if record.front != front_of(record.trials):
        wrong.append(f"the front is {list(front_of(record.trials))}, not {list(record.front)}")
    if record.chosen != chosen_of(record.trials):
        wrong.append(f"the most accurate trial within the budget is {chosen_of(record.trials)}, not {record.chosen}")
    return wrong


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
