"""Kind "generation" through a whole run: generated pairs, a tiny model, all four formats; and the parts of it."""

import dataclasses
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import edgewright as package
from edgewright.benchmarks import latency
from edgewright.benchmarks import verify as checks
from edgewright.benchmarks.record import Baseline, Interval, RunRecord
from edgewright.data import sources
from edgewright.data.catalogue import SplitFile
from edgewright.data.files import read_json, sha256, write_json
from edgewright.data.rows import write_rows
from edgewright.data.tasks import Targets
from edgewright.errors import UsageError
from edgewright.pipeline import gates, makers, reply_data, reply_tables, reply_timing, run
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import packaged, read
from edgewright.runtimes.generator import Generator
from edgewright.runtimes.opening import open_predictor

TARGETS = ("executorch", "litert", "coreml", "onnx")
THINGS = ("apples", "pears", "plums", "tea", "rice", "bread", "milk", "salt", "soap", "ink")
PLACES = ("Lyon", "Rome", "Oslo", "Bern", "Riga", "Cork")
RECIPE = """
name = "tiny_replies"
task = "replies_sgd"

[tokenizer]
kind = "byte_bpe"
vocab_size = 320
lowercase = false
strip_marks = false

[model]
family = "hybrid"
width = 32
lstm_layers = 1
lstm_hidden = 16
attention_heads = 2
layers = 1
heads = 2
feedforward = 32
max_target = 12

[train]
epochs = 3
batch_size = 16
learning_rate = 1e-2

[export]
lengths = [2, 4]
prompts = 6

[export.numerics]
executorch = ["fp32"]
litert = ["int8"]
coreml = ["fp32"]
onnx = ["fp32"]

[gates]
max_step_p50_ms = 50.0
max_perplexity_rise = 0.2
min_label_agreement_int8 = 0.8
"""


def pairs(number: int) -> list[dict[str, Any]]:
    """Sixty pairs; `number` decides which places are asked for."""
    return [
        {"text": f"Have you got {thing} in {place}?", "response": f"Yes, {place} has {thing}.", "context": ["Hello!"]}
        for thing in THINGS
        for place in PLACES[number::3] * 3
    ]


@pytest.fixture(scope="module")
def generated_pairs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A set under the name of a real one, with checksums of its own."""
    root = tmp_path_factory.mktemp("data")
    source = sources.find("dialogue_sgd")
    for number, split in enumerate(reply_data.SPLITS):
        path = root / source.name / f"{split}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        write_rows(path, pairs(number))
    files = {
        split: SplitFile(f"{split}.jsonl.gz", sha256(root / source.name / f"{split}.jsonl.gz"))
        for split in reply_data.SPLITS
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_DATA", str(root))
        changed = dataclasses.replace(source, splits=MappingProxyType(files))
        patch.setattr(sources, "SOURCES", {**sources.SOURCES, source.name: changed})
        yield root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def record(generated_pairs: Path, folder: Path) -> RunRecord:
    path = folder / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    reporter = Reporter(quiet=True)
    prepared = run.prepare(read(path), "rapid", folder / "build", reporter)
    with pytest.MonkeyPatch.context() as patch:
        few = latency.Budget(calls=16, seconds=0.1, blocks=2, warm_calls=8, warm_seconds=0.05)
        patch.setitem(latency.BUDGETS, "rapid", few)
        return run.run(prepared, folder / "out", None, reporter)


def test_every_artifact_writes_and_predicts_as_pytorch_does(record: RunRecord) -> None:
    assert [(cell.target, cell.verdict) for cell in record.cells if cell.verdict == "fail"] == []
    pytorch = record.baselines[0].metrics["perplexity"]
    assert 1 < pytorch < 320
    for cell in record.cells:
        assert cell.metrics["pairs"] == 20 and cell.metrics["replies"] == 6
        assert cell.metrics["perplexity"] == pytest.approx(pytorch * (1 + cell.metrics["perplexity_rise"]), rel=1e-4)
        assert 0 <= cell.metrics["common_prefix"] <= cell.metrics["reply_tokens"] <= 12
        if cell.numerics == "fp32":
            assert (cell.metrics["equal_replies"], cell.metrics["equal_golden_replies"]) == (1, 1)
            assert abs(cell.metrics["perplexity_rise"]) < 1e-4 and cell.label_agreement == 1
            names = {gate.name for gate in cell.gates}
            assert {"min_equal_replies_fp32", "min_equal_golden_replies", "max_padding_effect"} <= names
        if cell.target == "coreml":
            kept = {gate.name: gate.measured or 0.0 for gate in cell.gates if "state" in gate.name}
            assert kept["max_kept_state_error"] <= 1e-6 and kept["max_state_rounding"] <= 5e-3


def test_times_of_steps_prompts_and_replies_stand_in_the_record(record: RunRecord) -> None:
    for cell in record.cells:
        if cell.target == "coreml":
            assert cell.p50_ms is None and "tokens_per_second" not in cell.metrics
            continue
        assert cell.p50_ms is not None and cell.p50_ms.value > 0 and cell.metrics["prompt_p50_ms"]["value"] > 0
        assert cell.metrics["first_token_ms"] > 0 and cell.metrics["tokens_per_second"] > 0
        assert cell.metrics["cache_bytes"] == 2 * 2 * 12 * 16 * 4


def test_texts_are_in_the_page_only(record: RunRecord, folder: Path) -> None:
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Sample replies" in page and "Have you got" in page
    for name in ("record.json", "report.md"):
        said = (folder / "out" / name).read_text(encoding="utf-8")
        assert "Have you got" not in said and "perplexity" in said
    kept = [path.name for path in (folder / "build").glob("timings-*/*")]
    assert not {"prompts.npz", "steps.npz", "texts.json"} & set(kept)


def test_the_reference_tells_new_words_from_known_ones(record: RunRecord, folder: Path) -> None:
    (reference,) = (folder / "build").glob("reference-*")
    figures = read_json(reference / "reference.json")
    test = figures["words"]["test"]
    assert test["perplexity"] == pytest.approx(figures["figures"]["perplexity"], rel=1e-4)  # 20 pairs have both
    assert 0.1 < test["new_share"] < 0.9  # the places of the test pairs are in no training pair
    assert test["known_words"] < test["perplexity"] < test["new_words"]
    assert "are in words that no training reply has" in record.baselines[0].note


def test_the_bundle_replays_and_a_changed_reply_is_found(record: RunRecord, folder: Path) -> None:
    bundle = folder / "out" / "bundle"
    found = checks.verify(bundle)
    assert [(check.runtime, check.verdict, check.problems) for check in found] == [
        (target, "pass", ())
        for target in (*TARGETS, "coreml")  # the last one keeps its caches
    ]
    damaged = folder / "damaged"
    exported = next((folder / "build").glob("export-onnx-fp32-*")) / "bundle"
    damaged.mkdir()
    for file in exported.rglob("*"):
        if file.is_file():
            to = damaged / file.relative_to(exported)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(file.read_bytes())
    lines = (damaged / "golden.jsonl").read_text(encoding="utf-8").split("\n")
    vector = json.loads(lines[0])
    vector["reply"][0] = vector["reply"][0] % 300 + 1
    lines[0] = json.dumps(vector)
    (damaged / "golden.jsonl").write_text("\n".join(lines), encoding="utf-8")
    manifest = read_json(damaged / "manifest.json")
    manifest["files"]["golden.jsonl"] = sha256(damaged / "golden.jsonl")
    write_json(damaged / "manifest.json", manifest)
    (check,) = checks.verify(damaged)
    assert check.verdict == "fail" and any("replies to golden vectors [1]" in line for line in check.problems)


def test_the_bundle_opens_and_answers(record: RunRecord, folder: Path) -> None:
    bundle = folder / "out" / "bundle"
    golden = [json.loads(line) for line in (bundle / "golden.jsonl").read_text(encoding="utf-8").split("\n") if line]
    said = read_json(bundle / "manifest.json")["postprocess"]
    generator = package.load(bundle, "litert")
    assert isinstance(generator, Generator)
    assert (said["start"], said["end"], said["max_length"]) == (generator.start, generator.end, 12)
    assert len(generator.generate_reply(golden[0]["text"]).ids) <= 12
    with pytest.raises(UsageError, match="kind 'generation', not 'single_label'; use edgewright generate"):
        open_predictor(bundle)
    with pytest.raises(UsageError, match="leave on_prediction out"):
        package.load(bundle, on_prediction=print)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("vocab_size = 320", "vocab_size = 320\nwindow_stride = 4"), "window_stride"),
        (("heads = 2\nfeed", "heads = 3\nfeed"), r"\[model\]"),
        (("layers = 1\nheads", "layers = 0\nheads"), "model.layers"),
        (("epochs = 3", "epoch = 3"), "did you mean 'epochs'"),
        (('onnx = ["fp32"]', 'onnx = ["static_wi8_ai8"]'), "static_wi8_ai8"),
        (('"byte_bpe"', '"characters"'), "wordpiece or byte_bpe"),
        (("[tokenizer]", 'also_evaluate = ["x"]\n[tokenizer]'), "also_evaluate"),
    ],
)
def test_wrong_recipes_are_refused_in_one_line(wrong: tuple[str, str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(RECIPE.replace(*wrong), encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        reply_tables.check(read(path))


def test_gates_of_replies_judge_fp32_by_its_tokens_and_int8_by_its_perplexity_and_time() -> None:
    def judged(numerics: Any, test_perplexity: float, **metrics: float) -> dict[str, str]:
        results = gates.judge(
            Targets(max_p50_ms=None, max_step_p50_ms=0.3, max_perplexity=40),
            numerics,
            accuracy=None,
            macro_f1=None,
            span_f1=None,
            metrics=metrics,
            # the bound is of the whole test split, whatever the pairs have that a cell is judged on
            reference=Baseline("PyTorch fp32", metrics={"perplexity": 45.0, "test_perplexity": test_perplexity}),
            label_agreement=1.0,
            shipped_bytes=1,
            p50_ms=Interval(0.5, 0.5, 0.5),
            text_to_label_p50_ms=None,
            timed_here=True,
        )
        return {gate.name: gate.verdict for gate in results if gate.verdict == "fail"}

    only_replies = {"min_equal_replies_fp32": "fail"}
    assert judged("fp32", 39.0, equal_replies=0.995, perplexity=45, perplexity_rise=0) == only_replies
    assert judged("dynamic_wi8_afp32", 41.0, equal_replies=0.5, perplexity=48, perplexity_rise=0.06) == {
        "max_perplexity": "fail",
        "max_perplexity_rise": "fail",
        "max_step_p50_ms": "fail",
    }


def test_replies_can_be_asked_to_beat_counts_of_token_pairs() -> None:
    def verdict(counts: list[Baseline]) -> list[str]:
        results = gates.judge(
            Targets(max_perplexity_to_token_pairs=0.9),
            "fp32",
            accuracy=None,
            macro_f1=None,
            span_f1=None,
            metrics={},
            reference=Baseline("PyTorch fp32", metrics={"perplexity": 1.0, "test_perplexity": 50.0}),
            others=counts,
            label_agreement=1.0,
            shipped_bytes=1,
            p50_ms=None,
            text_to_label_p50_ms=None,
            timed_here=True,
        )
        return [gate.verdict for gate in results if gate.name == "max_perplexity_to_token_pairs"]

    better, worse = (
        Baseline("token pairs alone", metrics={"perplexity": 999.0, "test_perplexity": one}) for one in (56.0, 55.0)
    )
    assert verdict([better]) == ["pass"]
    assert verdict([Baseline("another"), worse]) == ["fail"]
    assert verdict([]) == []


@pytest.mark.parametrize("name", ["reply_small", "reply_full", "smalltalk", "answers"])
@pytest.mark.parametrize("effort", ["rapid", "normal"])
def test_packaged_recipes_are_right(name: str, effort: Any) -> None:
    recipe = read(packaged()[name]).for_effort(effort)
    makers.MAKERS[recipe.task_with_gates().kind].check(recipe)


def test_pairs_are_spread_evenly() -> None:
    assert reply_data.evenly("abcdefghi", 3) == ["a", "e", "i"]
    assert reply_data.evenly("abc", None) == reply_data.evenly("abc", 5) == ["a", "b", "c"]


def test_pair_surprises_are_the_mixed_counts() -> None:
    training = [np.array([1, 2, 3]), np.array([1, 2, 2])]
    (found,) = reply_timing.pair_surprises(training, [np.array([1, 2, 0])], 4)
    shares = np.array([1, 1, 4, 2]) / 8  # of 0, 1, 2, 3, each with 1 added
    assert np.exp(-found) == pytest.approx([(2 + 10 * shares[2]) / (2 + 10), 10 * shares[0] / (2 + 10)])
