"""The reports of bench records and comparisons show what the records hold, lose nothing, and are safe by themselves."""

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.table import Table

from edgewright.benchmarks import bench_record
from edgewright.benchmarks.bench_record import BenchRecord, Length, PeerResult, Roofline
from edgewright.benchmarks.compare import Comparison, compare
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports import bench_plots, bench_report, compare_report, drawings, figures, standings
from edgewright.data.files import read_json, write_json
from tests.benchmarks import sample_bench

RECORDS: dict[str, Callable[[], BenchRecord]] = {
    "bench": sample_bench.sample_bench,
    "busy": lambda: sample_bench.sample_bench(quiet=False),
    "bare": sample_bench.bare_bench,
    "peers": sample_bench.sample_peers,
}
each_record = pytest.mark.parametrize("record", [make() for make in RECORDS.values()], ids=list(RECORDS))


class Reader(HTMLParser):
    """Fails on a tag that is closed in the wrong place; keeps tags, and the rows of each section's tables."""

    VOID = frozenset({"meta", "line", "rect", "circle", "path", "polyline", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sections: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(str(dict(attrs).get("id")))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def _printed(tables: tuple[Table, ...]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*tables)
    return capture.get()


def _tables(words: str) -> list[list[str]]:
    return [table.splitlines() for table in re.findall(r"(?:^\|.*\n)+", words, re.MULTILINE)]


@each_record
def test_the_page_is_well_formed_and_needs_no_network_and_no_script(record: BenchRecord) -> None:
    page = bench_report.html(record)
    Reader(page)
    assert not re.search(r"<script|https?:|@import|url\(|\bsrc=|<link", page)


@each_record
def test_no_value_is_left_unrendered(record: BenchRecord) -> None:
    for words in (Reader(bench_report.html(record)).text, bench_report.markdown(record)):
        assert not re.search(r"\bNone\b|\bnan\b|\binf\b|Interval\(|\{\{|\{%|\de[-+]\d", words)


@each_record
def test_markdown_tables_have_as_many_cells_as_heads(record: BenchRecord) -> None:
    tables = _tables(bench_report.markdown(record))
    assert tables
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1, table[0]


def test_a_bench_page_has_every_section_and_each_plot_twice() -> None:
    found = Reader(bench_report.html(sample_bench.sample_bench()))
    assert found.sections == [
        *("latency", "validity", "lengths", "throughput", "threads", "roofline", "machine-limits", "provenance")
    ]
    assert found.tags.count("svg") == 2 * 6


def test_a_peers_page_has_its_sections_and_plots() -> None:
    found = Reader(bench_report.html(sample_bench.sample_peers()))
    assert found.sections == ["peers", "peer-plots", "validity", "provenance"]
    assert found.tags.count("svg") == 2 * 3


def test_what_was_not_measured_has_no_section() -> None:
    found = Reader(bench_report.html(sample_bench.bare_bench()))
    assert found.sections == ["latency", "validity", "provenance"]
    assert "Energy: not available: no counter is readable here" in found.text
    assert "Energy: not available" in bench_report.markdown(sample_bench.bare_bench())


def test_an_empty_record_still_makes_a_report() -> None:
    empty = dataclasses.replace(sample_bench.bare_bench(), artifacts=())
    assert "svg" not in Reader(bench_report.html(empty)).tags
    assert "intent" in bench_report.markdown(empty) and not bench_report.console(empty)


def test_a_record_read_back_from_its_file_gives_the_same_reports(tmp_path: Any) -> None:
    for make in RECORDS.values():
        record = make()
        write_json(tmp_path / "bench.json", bench_record.to_json(record))
        again = bench_record.from_json(read_json(tmp_path / "bench.json"))
        assert bench_report.html(again) == bench_report.html(record)
        assert bench_report.markdown(again) == bench_report.markdown(record)


def test_all_three_forms_show_the_figures_of_an_artifact() -> None:
    record = sample_bench.sample_bench()
    artifact = record.artifacts[2]
    line = next(line for line in _printed(bench_report.console(record)).splitlines() if line.startswith(artifact.name))
    figures = ["0.36 MB", "0.047 [.046, .048] ms", "0.024 ms", "0.224 [0.220, 0.227]", "0.080 ms", "212 ms", "1.42 MB"]
    for words in (line, bench_report.markdown(record), Reader(bench_report.html(record)).text):
        assert [figure for figure in figures if figure not in words] == []


def test_p99_is_shown_only_of_a_quiet_machine() -> None:
    for quiet, shown in ((True, "0.080 ms"), (False, "not judged")):
        record = sample_bench.sample_bench(quiet=quiet)
        for words in (_printed(bench_report.console(record)), bench_report.markdown(record), bench_report.html(record)):
            assert (shown in words) and ("not judged" in words) != quiet


def test_a_busy_machine_is_announced_and_a_quiet_one_is_not() -> None:
    for quiet in (True, False):
        record = sample_bench.sample_bench(quiet=quiet)
        assert ("Busy machine" in bench_report.html(record)) != quiet
        assert ("**Busy machine**" in bench_report.markdown(record)) != quiet


def test_validity_is_written_in_words() -> None:
    timing = sample_bench.sample_bench().artifacts[0].text_to_label.timing
    bad = dataclasses.replace(
        timing,
        calls=12,
        calls_met=False,
        seconds=0.2,
        duration_met=False,
        warmed_up=False,
        disturbed_blocks=11,
        throttled=True,
        reference_spread=0.31,
        cpu_share=0.84,
        quiet=False,
    )
    assert [(what, words) for what, words, fine in bench_report.flags(bad) if not fine] == [
        ("calls", "12, too few"),
        ("duration", "0.2 s, too short"),
        ("warm-up", "unsettled, 2,000 calls"),
        ("disturbed blocks", "11 of 20"),
        ("throttled", "yes"),
        ("reference spread", "31 %"),
        ("CPU share", "84 %"),
        ("quiet", "no"),
    ]
    assert all(fine for _, _, fine in bench_report.flags(timing))
    old = dataclasses.replace(
        timing, warmed_up=None, warm_calls=None, disturbed_blocks=None, outlier_share=None, throttled=None
    )
    assert [words for _, words, _ in bench_report.flags(old)][2:6] == ["–"] * 4


def test_a_throttled_machine_is_announced() -> None:
    record = sample_bench.sample_bench()
    artifact = record.artifacts[0]
    timing = dataclasses.replace(artifact.text_to_label.timing, throttled=True)
    hot = dataclasses.replace(artifact, text_to_label=dataclasses.replace(artifact.text_to_label, timing=timing))
    hot_record = dataclasses.replace(record, artifacts=(hot, *record.artifacts[1:]))
    assert "Throttled." in bench_report.html(hot_record) and "**Throttled**" in bench_report.markdown(hot_record)
    assert "Throttled." not in bench_report.html(record)


def test_explanations_stand_beside_every_far_ratio() -> None:
    record = sample_bench.sample_bench()
    far = [r for a in record.artifacts for r in a.roofline if r.ratio > bench_report.FAR]
    assert len(far) == 3
    for words in (bench_report.markdown(record), Reader(bench_report.html(record)).text):
        assert words.count("62 % in 14 elementwise operators outside the delegate") == len(far)


def test_names_from_files_are_escaped_in_tables_plots_and_tips() -> None:
    record = sample_bench.sample_bench()
    artifact = record.artifacts[0]
    evil = "<img src=x onerror=alert(1)>&\"'"
    operator = dataclasses.replace(artifact.roofline[-1].operators[0], name=evil, kind=evil)
    roofline = dataclasses.replace(artifact.roofline[-1], operators=(operator,), explanation=evil, profiler=evil)
    first = dataclasses.replace(artifact, runtime=evil, numerics=evil, roofline=(roofline,))
    page = bench_report.html(
        dataclasses.replace(record, subject=evil, artifacts=(first,), notes=(evil,), texts_from=evil)
    )
    assert "<img" not in page and "&lt;img" in page
    Reader(page)


def test_peers_are_sorted_by_accuracy_and_those_without_figures_come_last() -> None:
    accuracies = [row.peer.accuracy for row in standings.standings(sample_bench.sample_peers())]
    assert accuracies[-1] is None
    known = [value for value in accuracies if value is not None]
    assert known == sorted(known, reverse=True) and len(known) == 8


def test_ratios_are_to_the_best_of_ours_in_each_column() -> None:
    rows = {row.peer.name: row for row in standings.standings(sample_bench.sample_peers())}
    fast = rows["fastText, quantized"]
    assert fast.accuracy == pytest.approx(0.879 / 0.9412)
    assert fast.size == pytest.approx(310 / 861)
    assert fast.latency == pytest.approx(0.020 / 0.047)
    assert rows["edgewright litert dynamic_wi8_afp32"].latency == rows["edgewright litert dynamic_wi8_afp32"].size == 1
    assert rows["model2vec"].accuracy is rows["model2vec"].size is rows["model2vec"].latency is None


def test_the_latency_ratio_is_of_the_normalised_medians() -> None:
    """Milliseconds that a busy moment doubled leave the ratio as it is."""
    record = sample_bench.sample_peers()
    peers = list(record.peers)
    assert peers[2].text_to_label is not None
    slow = dataclasses.replace(peers[2].text_to_label, p50_ms=Interval(0.04))
    peers[2] = dataclasses.replace(peers[2], text_to_label=slow)
    rows = standings.standings(dataclasses.replace(record, peers=tuple(peers)))
    assert next(row.latency for row in rows if row.peer is peers[2]) == pytest.approx(0.020 / 0.047)


def test_sentences_say_where_ours_loses() -> None:
    assert standings.sentences(sample_bench.sample_peers()) == [
        "More accurate than ours (0.941): MiniLM int8, ONNX Runtime (0.967), plain <ONNX> example (0.942).",
        "Faster than ours (0.047 ms): fastText, quantized (0.020 ms, 0.43 ×).",
        "Smaller than ours (0.86 MB): fastText, quantized (0.31 MB).",
    ]


def test_sentences_say_none_where_ours_does_not_lose_and_admit_a_full_defeat() -> None:
    record = sample_bench.sample_peers()
    ours = tuple(peer for peer in record.peers if peer.ours)
    assert [words.split(": ")[1] for words in standings.sentences(dataclasses.replace(record, peers=ours))] == [
        "none."
    ] * 3
    better = PeerResult("better", False, 0.99, 0.99, 100_000, sample_bench.series(0.01))
    said = standings.sentences(dataclasses.replace(record, peers=(better, *ours[:1])))
    assert said[-1] == f"Beaten in all three by one and the same peer: {ours[0].name}."


def test_a_faster_peer_within_the_noise_is_called_so() -> None:
    record = sample_bench.sample_peers()
    near = PeerResult("near", False, 0.9, 0.9, 900_000, sample_bench.series(0.0469))
    said = standings.sentences(dataclasses.replace(record, peers=(near, *record.peers)))
    assert "near (0.047 ms, 0.9979 ×, within the noise)" in said[1]


@pytest.mark.parametrize(("rows", "doubtful"), [(2000, True), (200_000, False)])
def test_a_lead_in_accuracy_is_doubted_where_the_rows_are_few(rows: int, doubtful: bool) -> None:
    record = sample_bench.sample_peers()
    ours = max((peer for peer in record.peers if peer.ours), key=lambda peer: peer.accuracy or 0)
    assert ours.accuracy is not None
    counted = dataclasses.replace(ours, rows=rows)
    ahead = PeerResult("ahead", False, ours.accuracy + 0.005, rows=rows)
    said = standings.sentences(dataclasses.replace(record, peers=(counted, ahead)))[0]
    assert "ahead (" in said and ("within the noise" in said) is doubtful


def test_peers_without_ours_or_figures_make_a_report() -> None:
    record = sample_bench.sample_peers()
    bare = dataclasses.replace(record, peers=(PeerResult("only", False, note="no library"),))
    assert standings.sentences(bare) == []
    page = Reader(bench_report.html(bare))
    assert "no library" in page.text and "svg" not in page.tags
    assert "no library" in bench_report.markdown(bare)


@pytest.fixture
def comparison() -> Comparison:
    return sample_bench.sample_comparison()


def test_a_comparison_shows_every_row_in_all_three_forms(comparison: Comparison) -> None:
    page, words = compare_report.html(comparison), compare_report.markdown(comparison)
    Reader(page)
    printed = _printed(compare_report.console(comparison))
    assert len(comparison.rows) == 12
    assert len(_tables(words)[0]) == 12 + 2
    assert len(printed.splitlines()) == 12 + 1
    for form in (Reader(page).text, words, printed):
        assert form.count("1.30 [1.26, 1.34]") >= 6 and "inconclusive" in form
    assert not re.search(r"<script|https?:|@import|url\(", page)


def test_a_comparison_begins_with_its_verdict_and_the_worst_rows(comparison: Comparison) -> None:
    words = compare_report.markdown(comparison)
    assert words.splitlines()[0] == "# intent, new over base: fail"
    verdicts = [line.split("|")[-2].strip(" *") for line in _tables(words)[0][2:]]
    assert verdicts == ["fail"] * 6 + ["inconclusive"] + ["pass"] * 5
    assert "onnx static_wi8_ai8" in words and "onnx fp32" in words  # what only one of the records has


def test_two_machines_are_announced(comparison: Comparison) -> None:
    other = dataclasses.replace(
        comparison.new, machine=dataclasses.replace(comparison.new.machine, cpu="another <processor>")
    )
    judged = compare(comparison.base, other)
    assert judged.verdict == "inconclusive"
    page = compare_report.html(judged)
    assert "Two machines." in page and "another &lt;processor&gt;" in page
    assert "**Two machines**" in compare_report.markdown(judged)
    assert "Two machines." not in compare_report.html(comparison)


def test_records_with_nothing_in_common_still_make_a_report(comparison: Comparison) -> None:
    nothing = compare(comparison.base, dataclasses.replace(comparison.new, artifacts=()))
    assert "svg" not in Reader(compare_report.html(nothing)).tags
    assert compare_report.console(nothing) == ()
    assert "0 of 0 series pass" in compare_report.markdown(nothing)


def _parsed(plot: str) -> ElementTree.Element:
    return ElementTree.fromstring(plot)


@pytest.mark.parametrize("width", [340, 920])
def test_a_forest_has_a_line_at_one_and_one_at_what_is_allowed(width: int) -> None:
    rows = [bench_plots.Ratio("a", "inference", Interval(1.3, 1.2, 1.4), "fail")]
    root = _parsed(bench_plots.forest(rows, 1.1, "Ratios", width))
    (one,), (allowed,) = ([n for n in root.iter("line") if n.get("class") == kind] for kind in ("axis", "limit"))
    marker = next(node for node in root.iter("rect") if "verdict fail" in str(node.get("class")))
    assert float(one.get("x1", 0)) < float(allowed.get("x1", 0)) < float(marker.get("x", 0))


def test_blocks_are_shaded_where_their_reference_was_slow() -> None:
    series = sample_bench.series(0.05, quiet=False)
    strip = bench_plots.Strip("a", "onnx", series.block_p50_ms, series.block_reference_ms)
    root = _parsed(bench_plots.strips([strip], "Blocks", 920))
    tips = [node.findtext("title") for node in root.iter("rect") if node.get("class") == "shade"]
    assert tips == [f"block {block}: the machine was busy" for block in (8, 9, 16)]


def test_a_stack_is_as_long_as_what_was_measured_and_no_shorter() -> None:
    """What no profiler saw fills the bar up; a profile that took longer than the call shows as such."""
    roofline = sample_bench.sample_bench().artifacts[0].roofline[-1]
    seen = sum(operator.measured_us or 0 for operator in roofline.operators) + (roofline.empty_call_us or 0)
    assert seen < roofline.measured_us.value
    for measured, length in ((roofline.measured_us.value, roofline.measured_us.value), (seen / 2, seen)):
        found = _stack_length(dataclasses.replace(roofline, measured_us=Interval(measured)))
        assert found == pytest.approx(length)


def _stack_length(roofline: Roofline) -> float:
    artifact = dataclasses.replace(sample_bench.sample_bench().artifacts[0], roofline=(roofline,))
    stack = drawings.stack(artifact, roofline)
    assert stack.bound == pytest.approx(roofline.bound_us + (roofline.empty_call_us or 0))
    return sum(value for _, value, _ in stack.parts)


def test_one_length_draws_no_line() -> None:
    record = sample_bench.sample_bench()
    lengths = (Length(16, Interval(0.02), Interval(0.1)),)
    one = dataclasses.replace(record, artifacts=(dataclasses.replace(record.artifacts[0], lengths=lengths),))
    page = bench_report.html(one)
    assert 'aria-label="Latency by length"' not in page and "16 tokens" in page


@pytest.mark.parametrize(
    ("value", "words"), [(0.42, "0.42 µs"), (3.14, "3.1 µs"), (38.4, "38 µs"), (2100.0, "2.1 ms"), (None, "–")]
)
def test_microseconds_have_two_digits(value: float | None, words: str) -> None:
    assert figures.microseconds(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(712, "712"), (38_400, "38.4 k"), (1_240_000, "1.24 M"), (32_810_000, "32.8 M"), (0, "0")]
)
def test_counts_have_three_digits(value: int, words: str) -> None:
    assert figures.count(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(1.0, "1.00 ×"), (0.9988, "0.9988 ×"), (1.52, "1.52 ×"), (27.3, "27 ×"), (None, "–")]
)
def test_a_ratio_is_never_rounded_to_one(value: float | None, words: str) -> None:
    assert figures.times(value) == words


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.0314, 0.0302, 0.0331), "0.031 [.030, .033] ms"),
        (Interval(0.02669, 0.026619, 0.02689), "0.0267 [.0266, .0269] ms"),
        (Interval(0.0087, 0.0087, 0.0087), "0.0087 [.0087, .0087] ms"),
        (Interval(14.1, 10.1, 15.7), "14.1 [10.1, 15.7] ms"),
        (Interval(1.002, 0.998, 1.004), "1.002 [.998, 1.004] ms"),
        (Interval(4.2), "4.2 ms"),
    ],
)
def test_narrow_bounds_are_told_apart(interval: Interval, words: str) -> None:
    assert figures.bounded(interval) == words


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-11-21T09:30:00Z", "2026-11-21 09:30 UTC"),
        ("2026-11-21T10:30:00+01:00", "2026-11-21 09:30 UTC"),
        ("now", "now"),
    ],
)
def test_times_are_written_in_utc(created: str, words: str) -> None:
    assert figures.moment(created) == words


def test_markdown_cells_hold_no_bars_and_no_tags() -> None:
    assert figures.cell("a|b <i>\nc & d") == "a\\|b &lt;i> c &amp; d"
