"""What is committed under benchmarks/results/ is what the tools wrote, and README.md says the same."""

import json
import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgewright.benchmarks import bench_record, family_record, publish, record, search_record, sensitivity_record
from edgewright.benchmarks.bench_record import SCHEMA_FILE, BenchRecord
from edgewright.benchmarks.compare import compare
from edgewright.benchmarks.reports import (
    bench_report,
    compare_report,
    run_report,
    search_report,
    sensitivity_report,
)
from edgewright.compress.numerics import TARGETS
from edgewright.data.files import read_json
from edgewright.pipeline import recipe as recipes

RUNS = (  # in the order of README
    *("urgency", "intent", "banking", "intent_cnn", "intent_lstm", "encoder_clinc", "teacher_clinc"),
    *("intent_distilled", "intent_half", "banking_half"),
    *("entities", "logs", "text_en", "text_fr", "reply_small", "reply_full", "smalltalk", "answers"),
)
# README has no rows of them
BESIDE_README = (
    *("intent_tiny", "intent_distilled-avx2", "intent_half-avx2", "intent_half-avx2-before", "banking_half-avx2"),
)
BENCHES = ("intent-bench", "intent_cnn-bench", "intent-peers", "banking-peers", "repeat-first", "repeat-second")
SEARCHES = tuple(sorted(file.stem for file in publish.RESULTS.glob("*-search.json")))
SENSITIVITIES = tuple(sorted(file.stem for file in publish.RESULTS.glob("*-sensitivity.json")))
HOUR_SECONDS = 3600


def path(name: str, ending: str = "json") -> Path:
    return publish.RESULTS / f"{name}.{ending}"


def bench(name: str) -> BenchRecord:
    return bench_record.from_json(read_json(path(name)), name)


@pytest.mark.parametrize("name", (*RUNS, *BESIDE_README))
def test_a_run_is_a_record_with_its_report(name: str) -> None:
    found = record.from_json(read_json(path(name)), name)
    assert path(name, "md").read_text(encoding="utf-8") == run_report.markdown(found)


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_fits_the_schema(name: str) -> None:
    jsonschema.validate(read_json(path(name)), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert bench(name).machine.git_dirty is False  # the code that measured can be looked at


@pytest.mark.parametrize("name", [name for name in BENCHES if not name.startswith("repeat")])
def test_a_bench_has_its_report(name: str) -> None:
    assert path(name, "md").read_text(encoding="utf-8") == bench_report.markdown(bench(name))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_follows_from_its_trials_and_its_recipe_is_the_chosen_point(name: str) -> None:
    found = search_record.from_json(read_json(path(name)), name)
    assert search_record.inconsistencies(found) == []
    assert path(name, "md").read_text(encoding="utf-8") == search_report.markdown(found)
    if found.chosen is None or found.found is None:
        return
    chosen, plain = found.trial(found.chosen), recipes.read(publish.RESULTS / found.found)
    assert plain.model["family"] == chosen.settings["family"] and set(plain.export.targets) == set(chosen.targets)
    for key, value in chosen.settings.items():
        table, *inner = key.split(".")
        if not inner or (table == "prune" and not value):
            continue  # a share of 0 removes nothing: the recipe has no such step
        said: Any = getattr(plain, table)
        for one in inner:
            said = said[one] if isinstance(said, dict) else getattr(said, one)
        assert said == value, key
    gates = plain.task_with_gates().targets
    assert found.max_bytes is None or (gates.max_shipped_bytes or math.inf) <= found.max_bytes
    assert found.max_ms is None or (gates.max_text_to_label_p50_ms or math.inf) <= found.max_ms


@pytest.mark.parametrize("name", SENSITIVITIES)
def test_a_sensitivity_has_its_report_and_its_choices_give_bits_back(name: str) -> None:
    found = sensitivity_record.from_json(read_json(path(name)), name)
    assert path(name, "md").read_text(encoding="utf-8") == sensitivity_report.markdown(found)
    sizes = [choice.weight_bytes for choice in found.choices]
    assert sizes == sorted(sizes) and sizes[-1] <= found.all_eight.weight_bytes
    assert all(choice.accuracy < -found.max_drop for choice in found.choices[:-1]), "the first that keeps the bound"
    for cost in found.costs:
        assert cost.accuracy == pytest.approx((cost.won - cost.lost) / found.rows)
    for choice in (*found.choices, found.all_eight):
        assert choice.accuracy == pytest.approx((choice.won - choice.lost) / found.rows)
    assert {layer: bits for layer, bits in found.quantize.bits.items() if bits == 8}.keys() <= set(found.chosen.eight)


@pytest.mark.parametrize("name", [*RUNS, *BESIDE_README, *BENCHES, *SEARCHES, *SENSITIVITIES])
def test_no_path_of_a_machine_is_kept(name: str) -> None:
    for file in (path(name), *([path(name, "md")] if path(name, "md").exists() else [])):
        assert not re.search(r"(?<![\w.)/:])/(?:home|root|tmp|work|usr|var|Users|mnt|opt)/", file.read_text("utf-8"))


def test_two_runs_an_hour_apart_agree_within_a_tenth() -> None:
    first, second = bench("repeat-first"), bench("repeat-second")
    apart = datetime.fromisoformat(second.created) - datetime.fromisoformat(first.created)
    assert apart.total_seconds() >= HOUR_SECONDS
    compared = compare(first, second)
    assert compared.same_machine and len(compared.rows) == 6
    assert all(0.9 <= row.ratio.value <= 1.1 for row in compared.rows), [row.ratio for row in compared.rows]
    for before, after in zip(first.artifacts, second.artifacts, strict=True):
        for one, other in zip(before.lengths, after.lengths, strict=True):
            assert 0.9 <= other.normalised_p50.value / one.normalised_p50.value <= 1.1
    assert path("repeat", "md").read_text(encoding="utf-8") == compare_report.markdown(compared)


@pytest.mark.parametrize("name", ["intent-bench", "intent_cnn-bench"])
def test_int8_is_within_twice_the_bound_in_the_best_runtime_and_what_is_far_is_explained(name: str) -> None:
    rooflines: dict[int, list[Any]] = {}
    for artifact in bench(name).artifacts:
        assert "wi8" in artifact.numerics
        for one in artifact.roofline:
            rooflines.setdefault(one.length, []).append(one)
    assert set(rooflines) == {8, 16, 32}
    for found in rooflines.values():
        assert len(found) == 3
        assert min(one.ratio for one in found) <= 2
        assert all(one.ratio <= 4 or one.explanation for one in found)


def test_readme_shows_the_committed_figures() -> None:
    readme = (publish.ROOT / "README.md").read_text(encoding="utf-8")
    runs = [record.from_json(read_json(path(name)), name) for name in RUNS]
    peers = [bench(name) for name in BENCHES if name.endswith("-peers")]
    assert publish.readme_of(runs, peers, publish.committed_families()) == readme


def test_the_families_have_their_report_and_keep_their_bars() -> None:
    found = publish.committed_families()
    assert path("families", "md").read_text(encoding="utf-8") == family_record.markdown(found)
    assert found.machine.git_dirty is False
    assert {row.target for row in found.rows} == set(TARGETS)
    assert {bar.family for bar in family_record.BARS} <= {row.family for row in found.rows}
    assert all(row.error < 1e-5 for row in found.rows if row.numerics == "fp32")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("entities", ("Most accurate", "Up and to the left", "Size against span F1", "wnut17")),
        ("reply_small", ("Lowest perplexity", "Down and to the left", "tokens/s")),
        ("logs", ("Most accurate", "Up and to the left", "Generated data")),
    ],
)
def test_the_page_of_each_kind_says_what_is_better(name: str, words: tuple[str, ...]) -> None:
    page = run_report.html(record.from_json(read_json(path(name)), name), run_report.Details(labels=()))
    assert all(word in page for word in words)


@pytest.mark.parametrize(
    "name, least, most_bytes",
    [
        ("intent_distilled", 0.950, 1_000_000),
        ("intent_half", 0.945, 500_000),
        ("banking_half", 0.930, 500_000),
    ],
)
def test_students_keep_their_bars(name: str, least: float, most_bytes: int) -> None:
    """Accuracy: the mean of three seeds. Bytes: shipped, 8 bits. Times: text to label, where they can be taken here."""
    found = record.from_json(read_json(path(name)), name)
    (pair,) = found.paired
    assert pair.seeds == 3 and pair.accuracy >= least
    floats = {cell.target: cell for cell in found.cells if cell.numerics == "fp32"}
    for cell in found.cells:
        bits = 4 if "wi4" in cell.numerics else 8 if "wi8" in cell.numerics else 32
        before = floats[cell.target].accuracy
        assert cell.accuracy is not None and before is not None
        assert before - cell.accuracy <= {32: 0.0, 8: 0.005, 4: 0.015}[bits]
        if bits == 8:
            assert cell.shipped_bytes is not None and cell.shipped_bytes <= most_bytes
        if bits == 8 and cell.target in ("litert", "executorch"):
            assert cell.text_to_label_p50_ms is not None and cell.text_to_label_p50_ms.value <= 0.1
    for one in found.one_model:
        assert len(one.files) == 4 and one.differing_integers == 0 and not one.unequal
        assert one.agreement.all_agree >= 0.995


def test_a_student_is_within_two_points_of_its_teacher() -> None:
    found = record.from_json(read_json(path("intent_distilled")), "intent_distilled")
    assert found.paired[0].against == "teacher_clinc" and found.paired[0].difference.value >= -0.02


def test_each_step_of_the_recipe_is_there_in_every_target() -> None:
    found = record.from_json(read_json(path("intent_tiny")), "intent_tiny")
    steps = list(dict.fromkeys(step.step for step in found.steps))
    assert steps == ["train", "distill", "prune", "qat"]
    assert {(one.step, one.target) for one in found.steps} == {(step, target) for step in steps for target in TARGETS}
    assert {(one.model, one.against) for one in found.paired} >= {("distill", "train"), ("prune", "distill")}
