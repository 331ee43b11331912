"""The three forms of a report show what the record holds, and the page is safe and complete by itself."""

import dataclasses
import re
from html.parser import HTMLParser
from types import ModuleType

import pytest
from rich.console import Console

from edgewright.benchmarks.record import Cell, GateResult, Interval, RunRecord
from edgewright.benchmarks.reports import run_report, steps, units
from edgewright.benchmarks.reports.run_report import Details
from edgewright.benchmarks.reports.scores import share
from tests.benchmarks.sample_record import sample_details, sample_record


class Balanced(HTMLParser):
    """Fails on a tag that is closed in the wrong place."""

    VOID = frozenset({"meta", "line", "rect", "circle", "path", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"


def _printed(record: RunRecord) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(run_report.console(record))
    return capture.get()


def test_the_console_table_reads_as_the_readme_says(record: RunRecord) -> None:
    lines = _printed(record).splitlines()
    assert lines[0].split() == "target numerics shipped accuracy agreement p50 [95 %] load verdict".split()
    litert = next(line for line in lines if line.startswith("litert") and "dynamic" in line)
    assert re.split(r" {2,}", litert.strip()) == [
        *("litert", "dynamic_wi8_afp32", "0.36 MB", "0.941", "0.998", "0.031 [.030, .033] ms", "2.1 ms", "pass")
    ]


def test_core_ml_is_never_timed_and_always_named_as_interpreted(record: RunRecord) -> None:
    line = next(line for line in _printed(record).splitlines() if line.startswith("coreml"))
    assert "not verifiable here" in line and "pass (reference interpreter)" in line


def test_reasons_are_given_for_all_that_is_no_pass(record: RunRecord) -> None:
    lines = run_report.reasons(record)
    assert "onnx fp16: unsupported: ONNX Runtime's CPU kernels have no fp16" in lines
    assert any(line.startswith("onnx static_wi8_ai8: fail: label_agreement") for line in lines)


def test_markdown_tables_have_as_many_cells_as_heads(record: RunRecord) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", run_report.markdown(record), re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_markdown_names_loosened_gates_baselines_and_generated_data(record: RunRecord) -> None:
    words = run_report.markdown(record)
    assert "the task asks 0.995" in words and "TF-IDF word + character" in words and "**Generated data**" in words


def test_the_page_is_well_formed_and_has_every_section(record: RunRecord, details: Details) -> None:
    page = run_report.html(record, details)
    reader = Balanced()
    reader.feed(page)
    assert not reader.open
    sections = re.findall(r'<section id="([\w-]+)">', page)
    assert sections == [
        *(
            "artifacts",
            "hurts",
            "steps",
            "one-model",
            "latency",
            "size",
            "baselines",
            "gates",
            "confusion",
            "differences",
        ),
        *("scope", "golden", "unsupported", "provenance"),
    ]
    assert reader.seen.count("svg") == 10  # four plots for two layouts


def test_the_page_needs_no_network_and_no_script(record: RunRecord, details: Details) -> None:
    page = run_report.html(record, details)
    assert "<script" not in page and "http" not in page and "@import" not in page and "url(" not in page


def test_texts_are_escaped(record: RunRecord, details: Details) -> None:
    page = run_report.html(record, details)
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;call me&#34;" in page


def test_texts_that_no_page_can_hold_are_shown_all_the_same() -> None:
    assert run_report.visible("a\0b\x1b[31m\x7f\nc") == "a␀b␛[31m␡\nc"
    run_report.visible("half a pair \ud83d").encode()


def test_labels_from_data_are_escaped_in_tables_and_plots(record: RunRecord, sample: ModuleType) -> None:
    page = run_report.html(record, sample.sample_details(("<b>low</b>", "normal", "high", "critical")))
    assert "<b>low" not in page and "&lt;b&gt;low" in page


def test_generated_data_is_called_so_and_real_data_is_not(record: RunRecord, details: Details) -> None:
    assert record.data is not None
    real = dataclasses.replace(record, data=dataclasses.replace(record.data, generated=False))
    assert "Generated data." in run_report.html(record, details)
    assert "Generated data." not in run_report.html(real, details)


def test_a_busy_machine_is_announced(record: RunRecord, details: Details) -> None:
    timing = record.cells[0].timing
    assert timing is not None and "Busy machine" not in run_report.html(record, details)
    cell = dataclasses.replace(record.cells[0], timing=dataclasses.replace(timing, quiet=False))
    assert "Busy machine" in run_report.html(dataclasses.replace(record, cells=(cell,)), details)


def test_many_classes_are_cut_to_the_most_confused(record: RunRecord, sample: ModuleType) -> None:
    page = run_report.html(record, sample.sample_details(tuple(f"intent_{i}" for i in range(150))))
    assert "12 of 150 classes" in page and "The other 138 classes" in page


def test_a_record_with_nothing_measured_still_makes_a_report() -> None:
    record = RunRecord("r.toml", "t", "fail", None, None, (Cell("onnx", "fp32", "fail", reason="no kernel for X"),))
    page = run_report.html(record, Details(labels=()))
    assert "no kernel for X" in page and "<svg" not in page
    assert "no kernel for X" in run_report.markdown(record)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.0314, 0.0302, 0.0331), "0.031 [.030, .033] ms"),
        (Interval(0.104, 0.099, 0.113), "0.104 [.099, .113] ms"),
        (Interval(0.0021, 0.0020, 0.0023), "0.0021 [.0020, .0023] ms"),
        (Interval(2.13, 2.01, 2.62), "2.13 [2.01, 2.62] ms"),
        (Interval(0.98, 0.95, 1.02), "0.980 [.950, 1.020] ms"),
        (Interval(4.2), "4.2 ms"),
    ],
)
def test_a_latency_is_written_with_its_bounds(interval: Interval, words: str) -> None:
    assert units.milliseconds(interval, bounds=True) == words


@pytest.mark.parametrize(
    ("size", "words"), [(351_000, "0.35 MB"), (31_400, "31 kB"), (39_110_428, "39.1 MB"), (None, "–")]
)
def test_a_size_is_written_in_decimal_megabytes(size: int | None, words: str) -> None:
    assert units.megabytes(size) == words


def test_a_share_just_below_one_is_not_rounded_to_one() -> None:
    assert (share(0.9996), share(1.0), share(0.9413)) == ("0.9996", "1.000", "0.941")


@pytest.mark.parametrize(
    ("gate", "bound", "measured"),
    [
        (GateResult("min_label_agreement_int8", 0.99, 0.9975, "pass"), "≥ 0.990", "0.998"),
        (GateResult("max_shipped_bytes", 1_000_000, 361_000, "pass"), "≤ 1.00 MB", "0.36 MB"),
        (GateResult("max_p50_ms", 0.5, None, "not_verifiable"), "≤ 0.50 ms", "–"),
        (GateResult("max_padding_effect", 1e-4, 0.0, "pass"), "≤ 0.0001", "0"),
        (GateResult("max_accuracy_drop", 0.01, -0.002, "pass"), "≤ 0.010", "-0.002"),
    ],
)
def test_a_gate_is_written_in_its_unit(gate: GateResult, bound: str, measured: str) -> None:
    assert (run_report.bound(gate), run_report.measured(gate)) == (bound, measured)


def test_steps_pairs_and_what_hurts_stand_in_every_form() -> None:
    record = sample_record()
    page, text = run_report.html(record, sample_details()), run_report.markdown(record)
    for words in ("What each step gave", "What hurts", "One model in several files", "1 answers differ"):
        assert words in page
    assert "| distill | litert | dynamic_wi8_afp32 | 0.38 MB | 0.941 | 0.998 | 0.037 ms | 0.074 ms |" in text
    assert "| distill 0.941 (3 seeds) | train 0.921 (1 seed) | +2.0 [+1.1, +3.0] |" in text
    assert "0 of 903,382 integers differ, one label in all files on 0.5000 of 2 answers" in text
    assert "| 88 | low (0.010) | normal (0.020) |" in text
    assert "- onnx static_wi8_ai8 is slower than fp32" in text
    assert [table.row_count for table in steps.console(record)] == [4, 1]


def test_a_record_without_steps_has_none_of_these_sections() -> None:
    plain = dataclasses.replace(sample_record(), steps=(), paired=(), one_model=(), hurts=())
    page = run_report.html(plain, sample_details())
    assert "What each step gave" not in page and "What hurts" not in page and "One model" not in page
    assert steps.console(plain) == []
