"""`edgewright bench` and `edgewright compare` as a user runs them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgewright.benchmarks.bench_record import SCHEMA_FILE, json_schema
from tests.end_to_end.runs import Done, Run, inside, refused


@pytest.fixture(scope="module")
def benched(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A bench of one artifact, with everything that is measured."""
    out = tmp_path_factory.mktemp("bench")
    done = inside(
        *("bench", small_run.bundle, "--runtime", "onnx", "--effort", "rapid", "--full", "--out", out, "--json")
    )
    assert done.code == 0, done.stderr[-3000:]
    return out, done.json()


def against(bundle: Path, base: dict[str, Any], folder: Path, *more: str | Path) -> Done:
    path = folder / "base.json"
    path.write_text(json.dumps(base), encoding="utf-8")
    return inside("bench", bundle, "--runtime", "onnx", "--effort", "rapid", "--against", path, *more)


def slower(record: dict[str, Any], factor: float) -> dict[str, Any]:
    """The record of code that takes `factor` times as long."""
    changed: dict[str, Any] = json.loads(json.dumps(record))
    for artifact in changed["artifacts"]:
        for series in ("text_to_label", "encode", "inference"):
            for figure in ("p50_ms", "normalised_p50"):
                interval = artifact[series][figure]
                artifact[series][figure] = {key: value * factor for key, value in interval.items()}
    return changed


def test_a_record_fits_the_published_schema(benched: tuple[Path, dict[str, Any]]) -> None:
    _, record = benched
    jsonschema.validate(record, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert record["schema"] == 1 and next(iter(record)) == "schema"


def test_the_published_schema_is_that_of_the_code() -> None:
    """Made by `python -m edgewright.benchmarks.bench_record`."""
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(json_schema()))


def test_everything_that_was_asked_for_is_measured(benched: tuple[Path, dict[str, Any]]) -> None:
    _, record = benched
    one, two, four = record["artifacts"]
    assert [artifact["threads"] for artifact in (one, two, four)] == [1, 2, 4]
    assert [length["length"] for length in one["lengths"]] == [16, 64]
    assert [batch["batch"] for batch in one["throughput"]] == [1, 2, 4, 8, 16, 32, 64]
    assert one["throughput"][-1]["rows_per_second"]["value"] > one["throughput"][0]["rows_per_second"]["value"]
    assert 1 < one["cold"]["load_ms"]["value"] < one["cold"]["process_ms"]["value"]
    assert one["peak_memory_bytes"] > 0 and one["shipped_bytes"] > one["size_bytes"] > 10_000
    assert one["text_to_label"]["timing"]["calls_met"] and one["text_to_label"]["timing"]["duration_met"]
    (runtime,) = record["runtimes"]
    assert runtime["library_bytes"] > 1_000_000
    assert 0 < runtime["empty_call"]["p50_ms"]["value"] < one["inference"]["p50_ms"]["value"]
    assert record["not_timed"] == ["coreml"]
    # a machine without energy counters says so, and nothing is made up
    assert (record["energy_source"] is None) == (one["energy"] is None)


def test_each_length_has_its_roofline(benched: tuple[Path, dict[str, Any]]) -> None:
    _, record = benched
    peaks = record["peaks"]
    assert peaks["int8_gmacs"] > peaks["fp32_gmacs"] > 1
    short, long = record["artifacts"][0]["roofline"]
    assert (short["length"], long["length"]) == (16, 64)
    assert 3 * short["macs"] < long["macs"] < 4 * short["macs"] + 1_000_000
    for one in (short, long):
        assert one["bound_us"] > 0
        expected = one["measured_us"]["value"] / (one["bound_us"] + one["empty_call_us"])
        assert one["ratio"] == pytest.approx(expected)
        assert sum(operator["macs"] for operator in one["operators"]) == one["macs"]
        assert one["ratio"] <= 4 or one["explanation"]


def test_every_sample_lies_beside_the_reports(benched: tuple[Path, dict[str, Any]]) -> None:
    out, record = benched
    assert {path.name for path in out.iterdir()} == {"bench.json", "bench.md", "bench.html", "samples.npz"}
    with np.load(out / "samples.npz", allow_pickle=False) as samples:
        taken = samples["onnx dynamic_wi8_afp32, threads 1|text_to_label|samples_ns"]
        assert len(samples["onnx dynamic_wi8_afp32, batches|batch 64|samples_ns"]) > 0
    assert len(taken) == record["artifacts"][0]["text_to_label"]["timing"]["calls"]


def test_no_text_is_in_what_bench_writes(benched: tuple[Path, dict[str, Any]], small_run: Run) -> None:
    out, _ = benched
    # a text may hold U+2028, which ends a line for splitlines()
    lines = (small_run.bundle / "golden.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    long = [text for text in texts if len(text) > 20 and text.isascii()]
    assert long
    for name in ("bench.json", "bench.md", "bench.html"):
        written = (out / name).read_text(encoding="utf-8")
        assert not [text for text in long if text in written]


def test_code_that_got_slower_ends_with_one(
    benched: tuple[Path, dict[str, Any]], small_run: Run, tmp_path: Path
) -> None:
    # the base claims a fifth of the time, so what is measured now is five times as slow
    done = against(small_run.bundle, slower(benched[1], 0.2), tmp_path, "--out", tmp_path / "out")
    assert done.code == 1, done.stderr
    assert "verdict: fail" in done.stdout and "times as slow" in (tmp_path / "out" / "compare.md").read_text()
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["verdict"] == "fail"


def test_code_that_got_faster_passes(benched: tuple[Path, dict[str, Any]], small_run: Run, tmp_path: Path) -> None:
    base = slower(benched[1], 5)
    base["artifacts"] = base["artifacts"][:1]  # one thread, as now
    done = against(small_run.bundle, base, tmp_path)
    assert done.code == 0, done.stdout
    assert "verdict: pass" in done.stdout


def test_an_artifact_that_is_gone_is_inconclusive_unless_allowed(
    benched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, record = benched
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps(record | {"artifacts": record["artifacts"][:1]}), encoding="utf-8")
    done = inside("compare", out / "bench.json", fewer)
    assert done.code == 4 and "Not in the new record" in done.stdout
    assert inside("compare", out / "bench.json", fewer, "--allow-inconclusive").code == 0


def test_a_record_equals_itself(benched: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = benched
    done = inside("compare", out / "bench.json", out / "bench.json", "--json", "--max-ratio", "2")
    assert {row["ratio"]["value"] for row in done.json()["rows"]} == {1.0}


def test_a_record_is_shown_again(benched: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = benched
    page = tmp_path / "again.html"
    assert inside("report", out / "bench.json", "--out", page).code == 0
    assert page.read_text() == (out / "bench.html").read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ("base.json",)),
        ("[]", ("not a bench record",)),
        ('{"schema": 2}', ("not a bench record of schema 1",)),
    ],
)
def test_a_base_that_is_no_record_is_told_before_the_work(
    small_run: Run, tmp_path: Path, content: str, words: tuple[str, ...]
) -> None:
    base = tmp_path / "base.json"
    base.write_text(content, encoding="utf-8")
    refused(inside("bench", small_run.bundle, "--against", base), 3, *words)


def test_a_base_that_is_not_there_is_named(small_run: Run, tmp_path: Path) -> None:
    refused(inside("bench", small_run.bundle, "--against", tmp_path / "none.json"), 3, "none.json")


@pytest.mark.parametrize("threads", ["0", "two", "1,,2", "1000", ""])
def test_thread_counts_that_make_no_sense_are_refused(small_run: Run, threads: str) -> None:
    refused(inside("bench", small_run.bundle, "--threads", threads), 2, "--threads")


def test_a_bundle_with_nothing_to_time_is_refused(small_run: Run) -> None:
    refused(inside("bench", small_run.bundle, "--runtime", "coreml"), 2, "Apple")


def test_the_record_of_a_run_is_no_base(small_run: Run) -> None:
    record = small_run.out / "record.json"
    refused(inside("bench", small_run.bundle, "--against", record), 2, "is the record of a run", "bench.json")


def test_a_folder_that_cannot_be_made_is_told_before_the_work(small_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = inside("bench", small_run.bundle, "--out", tmp_path / "file" / "out")
    refused(done, 3, "file")
    assert "blocks in turn" not in done.stderr
