"""The record of a run: what `--json` prints, what is committed to results/, what every report is made from.

Figures only: a record never holds a text of a data set, rows are named by their number in the split. A figure that
was not measured is null (None), never 0. Sizes are in bytes, 1 MB = 1,000,000 bytes; durations in milliseconds.
"""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from edgewright.benchmarks.agreement import Agreement
from edgewright.errors import DamagedFileError

SCHEMA = 1
Kind = TypeVar("Kind")

Verdict = Literal["pass", "fail", "inconclusive", "not_verifiable", "unsupported"]


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds of its 95 % interval, which are None where one measurement was all there was."""

    value: float
    low: float | None = None
    high: float | None = None


def surely_more(one: Interval | None, other: Interval | None) -> bool:
    """Whether the whole interval of `one` lies above that of `other`."""
    if one is None or other is None:
        return False
    return (one.value if one.low is None else one.low) > (other.value if other.high is None else other.high)


@dataclass(frozen=True)
class GateResult:
    """A bound and what was measured, in the unit that the name ends in.

    name: begins with "min_" or "max_", which says what the bound is: "max_p50_ms". loosened: one line that says from
    which bound the recipe moved it.
    """

    name: str
    bound: float
    measured: float | None
    verdict: Verdict
    loosened: str | None = None


@dataclass(frozen=True)
class Timing:
    """How a latency was taken, so that a reader can judge it.

    reference_ms is the time of a fixed workload before and after each block, reference_spread its (p90 - p10) / p50
    over the blocks, cpu_share the worker's CPU time over the wall time. The flags follow MLPerf's: enough calls, enough
    seconds, and a machine that had nothing else to do. Figures that older records lack are None.

    warmed_up: the medians of the last warm-up groups agreed. disturbed_blocks: those in which the reference took
    more than 10 % longer than in the fastest ones; they stay out of the normalised figure where enough others are
    left. outlier_share: calls beyond the third quartile + 3 interquartile ranges of their block. throttled: the
    reference slowed down steadily, as a processor does that gets too hot.
    """

    calls: int
    seconds: float
    blocks: int
    reference_ms: float
    reference_spread: float
    cpu_share: float
    calls_met: bool
    duration_met: bool
    quiet: bool
    warmed_up: bool | None = None
    warm_calls: int | None = None
    disturbed_blocks: int | None = None
    outlier_share: float | None = None
    throttled: bool | None = None


@dataclass(frozen=True)
class Cell:
    """One target x numerics of a run, on the test split."""

    target: str
    numerics: str
    verdict: Verdict
    reason: str | None = None  # why it is not a pass
    size_bytes: int | None = None
    shipped_bytes: int | None = None  # artifact + tokenizer + labels
    accuracy: float | None = None
    macro_f1: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)  # further figures, by name
    label_agreement: float | None = None
    max_abs_logit_error: float | None = None
    p50_ms: Interval | None = None
    p99_ms: Interval | None = None
    load_ms: Interval | None = None  # cold process: load and first call
    peak_memory_bytes: int | None = None  # above the runtime's empty graph
    runtime: str | None = None
    gates: tuple[GateResult, ...] = ()
    p90_ms: Interval | None = None
    text_to_label_p50_ms: Interval | None = None
    encode_p50_ms: Interval | None = None
    empty_call_ms: Interval | None = None
    timing: Timing | None = None
    float_share: float | None = None  # of the weight bytes
    delegated: dict[str, int] | None = None
    left_over: dict[str, int] | None = None
    worst_rows: tuple[int, ...] = ()  # row numbers in the test split, worst first
    normalised_p50: Interval | None = None  # of the inference; see bench_record.Series
    span_f1: float | None = None  # of taggers: micro F1 of the spans; accuracy is then that of words
    hurts: str | None = None  # why this artifact is not recommended although it passes: slower than fp32 on this target


@dataclass(frozen=True)
class Baseline:
    """What a user would pick instead, on the same rows."""

    name: str
    accuracy: float | None = None
    macro_f1: float | None = None
    size_bytes: int | None = None
    text_to_label_p50_ms: Interval | None = None
    p50_ms: Interval | None = None
    note: str = ""
    span_f1: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)  # further figures, by name


@dataclass(frozen=True)
class StepResult:
    """An artifact made from the models of one step of the recipe: what --ablate shows, on the test split.

    step: "train", "distill", "prune" or "qat". The figures of all steps are of one run, timed in turn.
    """

    step: str
    target: str
    numerics: str
    size_bytes: int
    shipped_bytes: int
    accuracy: float | None
    label_agreement: float | None  # with the float model of the same step
    p50_ms: Interval | None = None
    text_to_label_p50_ms: Interval | None = None
    metrics: dict[str, Any] = field(default_factory=dict)  # further figures, by name


@dataclass(frozen=True)
class Paired:
    """How much more accurate one model is than another on the same test rows, a share of 1.

    difference: with its 95 % interval by a paired bootstrap over the rows (intervals.paired); where a model was
    trained from several seeds, their mean on each row.
    """

    model: str
    against: str
    accuracy: float
    accuracy_against: float
    difference: Interval
    seeds: int
    seeds_against: int


@dataclass(frozen=True)
class Recommended:
    """What to take of a run; what made it worse is left out.

    step: whose models: the recipe's last one, or an earlier one where what came behind it made the artifacts worse, as
    only --ablate shows. without: the tables of the recipe that did, to be removed from it; reasons: a line for each.
    artifacts: "litert dynamic_wi8_afp32", at most one a target, of those that pass and that nothing hurts. None of an
    earlier step's is named: no gate has judged them.
    """

    step: str
    artifacts: tuple[str, ...]
    without: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class OneModel:
    """The files of one quantized model beside each other (`edgewright compare-weights` says it layer by layer).

    integers: of all weights that are compared. differing_integers: those that are not the grid's in some file.
    unequal: the weights of which some file has other integers or scales, or keeps floats. agreement: of the labels on
    the test rows, with the rows on which they differ.
    """

    bits: int
    files: tuple[str, ...]
    weights: int
    integers: int
    differing_integers: int
    unequal: tuple[str, ...]
    agreement: Agreement


@dataclass(frozen=True)
class DataSet:
    """Where the rows came from. `generated` data says nothing about real text, and every report says so."""

    name: str
    origin: str
    licence: str
    tier: str
    fingerprint: str
    rows: dict[str, int]  # by split
    generated: bool
    redistributable: bool


@dataclass(frozen=True)
class SetResult:
    """One artifact on a set that was never trained or tuned on (a golden set)."""

    name: str
    target: str
    numerics: str
    n: int
    accuracy: float
    macro_f1: float
    note: str = ""


@dataclass(frozen=True)
class Machine:
    """What the figures were taken on. No name of the machine or of a user."""

    cpu: str
    architecture: str
    logical_cores: int
    usable_cores: int
    cpu_flags: tuple[str, ...]  # those that matter for the kernels
    memory_bytes: int | None
    system: str
    python: str
    versions: dict[str, str]
    git_commit: str | None  # None outside a checkout
    git_dirty: bool | None
    load_average: float | None  # of the last minute, when the fingerprint was taken


@dataclass(frozen=True)
class RunRecord:
    recipe: str
    task: str
    verdict: Verdict
    bundle: str | None
    report: str | None
    cells: tuple[Cell, ...]
    baselines: tuple[Baseline, ...] = ()
    description: str = ""
    effort: str | None = None
    created: str | None = None  # ISO 8601, UTC
    seeds: tuple[int, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)  # family, parameters, config
    data: DataSet | None = None
    golden: tuple[SetResult, ...] = ()
    machine: Machine | None = None
    notes: tuple[str, ...] = ()
    kind: str = "single_label"  # of the task
    steps: tuple[StepResult, ...] = ()  # of the recipe, in order; only with --ablate
    paired: tuple[Paired, ...] = ()
    one_model: tuple[OneModel, ...] = ()  # at 8 bits, and at 4
    hurts: tuple[str, ...] = ()  # what made an artifact worse than what it came from, a line each
    recommended: Recommended | None = None  # older records lack it
    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA


_RECORD = TypeAdapter(RunRecord)


def to_json(record: RunRecord) -> dict[str, Any]:
    """The record as plain values, `"schema": 1` first. Write it with data.files.write_json, which refuses NaN."""
    return {"schema": record.schema, **plain(asdict(record))}


def from_json(value: Any, where: str = "the record") -> RunRecord:
    """The record in `value`, checked; unknown keys are ignored, so that a later version may add some.

    Raises:
        DamagedFileError: `value` is no record of this schema; the message begins with `where`.
    """
    return checked(_RECORD, value, where, f"a run record of schema {SCHEMA}")


def checked(kind: TypeAdapter[Kind], value: Any, where: str, what: str) -> Kind:
    """`value` as an instance of `kind`, or a DamagedFileError that names the first place where it is not `what`."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DamagedFileError(f"{where}: not {what}: {place}: {first['msg']}") from error


def plain(value: Any) -> Any:
    """`value` with tuples as lists, as JSON would give them back."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
