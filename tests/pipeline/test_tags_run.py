"""A run of kind "tags" from rows to entities: trained, exported, verified, timed, bundled, asked."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from edgewright.benchmarks import verify
from edgewright.benchmarks.record import RunRecord
from edgewright.data import sources
from edgewright.data.catalogue import SplitFile
from edgewright.data.files import sha256
from edgewright.data.rows import write_rows
from edgewright.errors import DamagedFileError, UsageError
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import run as runs
from edgewright.pipeline.progress import Reporter
from edgewright.runtimes.entities import EntityEvent
from edgewright.runtimes.opening import open_classifier, open_entities
from tests.end_to_end.runs import inside

RECIPE = """
name = "tags"
task = "entities"
[tokenizer]
kind = "hashed_ngrams"
buckets = 2000
features = 8
lowercase = false
shapes = true
characters = 6
[model]
family = "tagger"
encoder = "dilated_cnn"
width = 16
hidden = 16
crf = true
dropout = 0.1
[train]
epochs = 8
batch_size = 32
learning_rate = 1e-2
[export]
lengths = [8, 16]
targets = ["litert", "onnx"]
numerics = "standard"
"""
NAMES = ("Anna", "Zoé", "Omar", "Mr Brown", "Lena Graf", "Ivo")
DAYS = ("tomorrow", "next Monday", "March 7th", "2027-01-05")
AMOUNTS = ("$20", "50 euros", "£1,250.50")
TEXTS = (
    ("call {name} {day} about the {amount} invoice", ("name", "day", "amount")),
    ("{name} owes us {amount} since the last meeting", ("name", "amount")),
    ("please meet {name} on {day}", ("name", "day")),
    ("nothing new about the meeting or the invoice", ()),
)
TYPES = {"name": "PERSON", "day": "DATE", "amount": "MONEY"}


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        text, slots = TEXTS[random.integers(len(TEXTS))]
        tokens: list[str] = []
        tags: list[str] = []
        for word in text.split():
            slot = word.strip("{}") if word.startswith("{") else None
            choices = {"name": NAMES, "day": DAYS, "amount": AMOUNTS}.get(slot or "", (word,))
            parts = choices[random.integers(len(choices))].split()
            tokens += parts
            tags += [f"{'B' if i == 0 else 'I'}-{TYPES[slot]}" if slot else "O" for i in range(len(parts))]
        yield {"text": " ".join(tokens), "tokens": tokens, "tags": tags, "source": "few" if not slots else "many"}


@dataclasses.dataclass(frozen=True)
class TagsRun:
    record: RunRecord
    out: Path
    data: Path


@pytest.fixture(scope="module")
def tags_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TagsRun]:
    folder = tmp_path_factory.mktemp("tags")
    data = folder / "data" / "entities_en"
    data.mkdir(parents=True)
    splits = {}
    for seed, (split, count) in enumerate((("train", 400), ("validation", 80), ("test", 80))):
        write_rows(data / f"{split}.jsonl.gz", rows(count, seed))
        splits[split] = SplitFile(f"{split}.jsonl.gz", sha256(data / f"{split}.jsonl.gz"))
    (folder / "tags.toml").write_text(RECIPE, encoding="utf-8")
    source = dataclasses.replace(sources.SOURCES["entities_en"], splits=MappingProxyType(splits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_DATA", str(folder / "data"))
        patch.setattr(sources, "SOURCES", {**sources.SOURCES, "entities_en": source})
        reporter = Reporter(quiet=True)
        prepared = runs.prepare(recipes.read(folder / "tags.toml"), "rapid", folder / "build", reporter)
        yield TagsRun(runs.run(prepared, folder / "out", None, reporter), folder / "out", data)


def test_every_cell_finds_the_spans_that_pytorch_finds(tags_run: TagsRun) -> None:
    record = tags_run.record
    assert record.kind == "tags" and record.verdict in ("pass", "inconclusive")
    pytorch = record.baselines[0]
    assert pytorch.span_f1 is not None and pytorch.span_f1 > 0.9
    for cell in record.cells:
        assert cell.span_f1 == pytest.approx(pytorch.span_f1, abs=0.01)
        assert cell.label_agreement is not None and cell.label_agreement > 0.98
        assert set(cell.metrics["by_type"]) == {"PERSON", "DATE", "MONEY"}
        assert cell.metrics["by_source"]["many"]["n"] > 50 and cell.metrics["by_source"]["few"]["n"] == 0
        assert {"min_span_f1", "max_span_f1_drop", "max_padding_effect"} <= {gate.name for gate in cell.gates}
        assert cell.p50_ms is not None and cell.text_to_label_p50_ms is not None


def test_the_bundle_replays_from_its_files(tags_run: TagsRun) -> None:
    checks = verify.verify(tags_run.out / "bundle")
    assert {check.verdict for check in checks} == {"pass"} and len(checks) == 2
    manifest = json.loads((tags_run.out / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["postprocess"]["decoding"] == "viterbi"
    count = len(manifest["task"]["labels"])
    assert np.shape(manifest["postprocess"]["transitions"]) == (count, count)


@pytest.mark.parametrize("runtime", ["litert", "onnx"])
def test_entities_have_their_place_and_their_value(tags_run: TagsRun, runtime: str) -> None:
    events: list[EntityEvent] = []
    predictor = open_entities(tags_run.out / "bundle", runtime, on_prediction=events.append)
    text = "  call Lena Graf next Monday about the £1,250.50 invoice"
    found = predictor.predict(text, today=date(2026, 11, 21))
    assert [(entity.type, entity.text) for entity in found] == [
        ("PERSON", "Lena Graf"),
        ("DATE", "next Monday"),
        ("MONEY", "£1,250.50"),
    ]
    assert all(text[entity.start : entity.end] == entity.text for entity in found)
    assert [entity.value for entity in found] == [None, "2026-11-23", "1250.5 GBP"]
    assert all(0.3 < (entity.confidence or 0) <= 1 for entity in found)
    assert events == [EntityEvent(("PERSON", "DATE", "MONEY"), len(predictor.tokenizer.encode(text)))]
    assert predictor.predict("") == () and predictor.tags("") == []


def test_what_the_report_says_of_a_tagger(tags_run: TagsRun) -> None:
    page = (tags_run.out / "report.html").read_text(encoding="utf-8")
    assert "span F1" in page and "B-PERSON" in page
    markdown = (tags_run.out / "report.md").read_text(encoding="utf-8")
    assert "| span F1 | macro-F1 of types | word accuracy |" in markdown
    assert "| source | many |" in markdown and "| type | PERSON |" in markdown
    assert '<section id="spans">' in page


def test_the_commands_take_a_bundle_of_tags(tags_run: TagsRun) -> None:
    bundle = tags_run.out / "bundle"
    lines = inside("predict", bundle, "please meet Anna on 2027-01-05").stdout.splitlines()
    assert lines[0].startswith("PERSON  Anna  [12:16]") and lines[1].endswith("  2027-01-05")
    answer = inside("predict", bundle, stdin="Omar owes us $20 since the last meeting\n\n").stdout.splitlines()
    assert [len(json.loads(line)["entities"]) for line in answer] == [2, 0]
    figures = inside("evaluate", bundle, "--data", tags_run.data / "test.jsonl.gz", "--runtime", "onnx", "--json")
    (row,) = figures.json()
    assert row["span_f1"] == pytest.approx(
        next(c.span_f1 for c in tags_run.record.cells if c.target == "onnx"), abs=0.02
    )
    assert set(row["by_source"]) == {"few", "many"}


@pytest.mark.parametrize(("rows", "words"), [([[0.0], [0.0, 1.0]], "no matrix"), ([[0.0]], "do not fit")])
def test_wrong_transitions_are_refused(tags_run: TagsRun, tmp_path: Path, rows: list[Any], words: str) -> None:
    moved = tmp_path / "bundle"
    shutil.copytree(tags_run.out / "bundle", moved)
    manifest = json.loads((moved / "manifest.json").read_text(encoding="utf-8"))
    manifest["postprocess"]["transitions"] = rows
    (moved / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DamagedFileError, match=words):
        open_entities(moved, "onnx").predict("meet Anna")


def test_a_classifier_is_not_opened_from_it(tags_run: TagsRun) -> None:
    with pytest.raises(UsageError, match="kind 'tags', not 'single_label'"):
        open_classifier(tags_run.out / "bundle")
