"""The record of `edgewright bench` and `edgewright peers`: what a regression gate, a report and a reader start from.

Like the record of a run it holds figures only, never a text; a figure that was not measured is null (None), never 0.
bench.schema.json beside this file is its published JSON Schema, made by `python -m edgewright.benchmarks.bench_record`.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edgewright.benchmarks.record import Interval, Machine, Timing, checked, plain
from edgewright.data.files import write_json

SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("bench.schema.json")

Kind = Literal["bench", "peers"]


@dataclass(frozen=True)
class Series:
    """The latency of one thing.

    normalised_p50 is the median over blocks of a block's median over the reference workload's time beside it: a number
    without unit that a slower moment of the machine moves far less than the milliseconds.
    """

    p50_ms: Interval
    p90_ms: Interval
    p99_ms: Interval
    normalised_p50: Interval
    timing: Timing
    block_p50_ms: tuple[float, ...] = ()  # in the order of the blocks
    block_reference_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Length:
    """One inference with inputs of one bucket."""

    length: int
    p50_ms: Interval
    normalised_p50: Interval


@dataclass(frozen=True)
class Throughput:
    """Rows a second with rows given together.

    calls: how many calls a batch takes: 1 where the graph takes the whole batch, else one a row.
    """

    batch: int
    length: int
    rows_per_second: Interval
    calls: int


@dataclass(frozen=True)
class Cold:
    """Medians over processes that did nothing before; files are in the system's cache.

    process_ms: from the start of the Python process to its first answer, the rest included. import_ms: the runtime's
    libraries. load_ms: load and first call, after them.
    """

    process_ms: Interval
    import_ms: Interval
    load_ms: Interval


@dataclass(frozen=True)
class Energy:
    """Microjoules of the whole processor package for one call, idle power included; source: which counter."""

    text_to_label_uj: float
    source: str


@dataclass(frozen=True)
class Operator:
    """One operator of a file, for one call.

    name: as the file or the profiler names it. kind: "conv", "linear", "gather", "quantize", "elementwise", "reduce",
    "move" or "other". bytes_moved: operands read and results written, each once, as stored; of a table only the rows
    that are looked up. bound_us: the least time that the machine's peaks allow. measured_us: by the means that
    Roofline.profiler names, None where these do not see this operator; a row without multiply-adds and bytes is time of
    no single operator.
    """

    name: str
    kind: str
    macs: int
    bytes_moved: int
    bound_us: float
    measured_us: float | None = None


@dataclass(frozen=True)
class Roofline:
    """One artifact at one length against what the machine allows.

    bound_us: the sum of the operators' bounds, since they run one after the other. ratio: measured over bound + empty
    call. profiler: what the operators' times come from, with its resolution. explanation: where the time goes, for a
    ratio above 4.
    """

    length: int
    macs: int
    bytes_moved: int
    bound_us: float
    empty_call_us: float | None
    measured_us: Interval
    ratio: float
    operators: tuple[Operator, ...] = ()
    profiler: str | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class Bandwidth:
    working_set_bytes: int
    gigabytes_per_second: float


@dataclass(frozen=True)
class Peaks:
    """What one thread of this machine reaches at best; `..._by` names the kernel that reached it."""

    fp32_gmacs: float  # 1e9 multiply-adds a second
    int8_gmacs: float
    fp32_by: str
    int8_by: str
    bandwidth: tuple[Bandwidth, ...]  # ascending working sets


@dataclass(frozen=True)
class Timed:
    """One artifact with one number of threads."""

    runtime: str
    numerics: str
    threads: int
    size_bytes: int
    shipped_bytes: int  # artifact + tokenizer + labels
    text_to_label: Series
    encode: Series
    inference: Series
    lengths: tuple[Length, ...] = ()
    throughput: tuple[Throughput, ...] = ()
    cold: Cold | None = None
    peak_memory_bytes: int | None = None  # above the runtime's empty graph
    energy: Energy | None = None
    roofline: tuple[Roofline, ...] = ()

    @property
    def name(self) -> str:
        threads = "" if self.threads == 1 else f", {self.threads} threads"
        return f"{self.runtime} {self.numerics}{threads}"


@dataclass(frozen=True)
class PeerResult:
    """One way to get from a text to a label, on the same rows and in the same turns as the others.

    ours: made by edgewright. shipped_bytes: all files that a prediction needs beside the libraries. note: how it was
    made, or why there is no figure. accuracy: of the in-scope test rows, `rows` of them.
    """

    name: str
    ours: bool
    accuracy: float | None = None
    macro_f1: float | None = None
    shipped_bytes: int | None = None
    text_to_label: Series | None = None
    note: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class RuntimeFiles:
    """What a runtime itself takes beside the artifact.

    library_bytes: the shared libraries that a process of this machine has loaded after a prediction, those of the
    runtime alone; a phone gets another build. empty_call: a call of a graph that does nothing.
    """

    runtime: str
    version: str | None
    library_bytes: int | None = None
    empty_call: Series | None = None


@dataclass(frozen=True)
class BenchRecord:
    kind: Kind
    subject: str  # the bundle's or the recipe's name
    task: str
    effort: str
    created: str  # ISO 8601, UTC
    texts: int  # distinct texts that the timed calls cycle through
    texts_from: str
    machine: Machine
    artifacts: tuple[Timed, ...] = ()
    peers: tuple[PeerResult, ...] = ()
    runtimes: tuple[RuntimeFiles, ...] = ()
    peaks: Peaks | None = None
    energy_source: str | None = None  # None: no counter is readable here
    not_timed: tuple[str, ...] = ()  # targets of the bundle whose runtime is not a device's
    notes: tuple[str, ...] = ()
    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = field(default=SCHEMA)


_RECORD = TypeAdapter(BenchRecord)


def to_json(record: BenchRecord) -> dict[str, Any]:
    """The record as plain values, `"schema": 1` first. Write it with data.files.write_json, which refuses NaN."""
    return {"schema": record.schema, **plain(asdict(record))}


def from_json(value: Any, where: str = "the record") -> BenchRecord:
    """The record in `value`, checked; unknown keys are ignored, so that a later version may add some.

    Raises:
        DamagedFileError: `value` is no record of this schema; the message begins with `where`.
    """
    return checked(_RECORD, value, where, f"a bench record of schema {SCHEMA}")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a record."""
    schema = _RECORD.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "edgewright bench record", **schema}


if __name__ == "__main__":
    write_json(SCHEMA_FILE, json_schema())
