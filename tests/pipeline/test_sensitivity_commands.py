"""`edgewright sensitivity`: which step it looks at, and what it leaves."""

from pathlib import Path

import pytest

from edgewright.benchmarks import sensitivity_record
from edgewright.benchmarks.reports import sensitivity_report
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.data.files import read_json
from edgewright.errors import UsageError
from edgewright.models import checkpoint
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import run, sensitivity_commands
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.run import Prepared

RECIPE = """
name = "tiny"
task = "urgency"
[data]
count = 300
[tokenizer]
kind = "hashed_ngrams"
buckets = 500
features = 8
[model]
family = "ngram_hybrid"
width = 32
hidden = 32
bag_hidden = 32
[train]
epochs = 3
learning_rate = 0.01
[qat]
bits = 4
epochs = 1
[quantize]
bits = { embedding = 4 }
[export]
lengths = [16, 64]
targets = ["onnx"]
[export.numerics]
onnx = ["dynamic_wi4_afp32"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity")
    (folder / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    recipe = recipes.read(folder / "tiny.toml")
    return run.prepare(recipe, "rapid", folder / "build", Reporter(quiet=True), ablate=True)


@pytest.fixture(scope="module")
def found(prepared: Prepared, folder: Path) -> SensitivityRecord:
    return sensitivity_commands.measure(prepared, 0.5, None, folder / "out", Reporter(quiet=True))


def test_by_default_the_last_step_before_training_on_the_grid_is_looked_at(
    found: SensitivityRecord, prepared: Prepared
) -> None:
    assert (found.step, found.recipe, found.seed, found.effort) == ("train", "tiny", 0, "rapid")
    assert max(cost.divergence for cost in found.costs if cost.bits == 4) > 1e-6, "float weights lose something"
    made = {
        stage.name.partition("-")[0]
        for stage in prepared.plan.graph.stages
        if prepared.plan.graph.folder(stage).is_dir()
    }
    assert made == {"data", "tokenizer", "train", "reference"}, "later steps are not made for it"
    data = read_json(prepared.plan.learnt_by("train").data / "data.json")
    assert found.data_fingerprint == data["fingerprint"] and found.rows == data["rows"]["validation"]


def test_the_record_its_markdown_and_its_page_lie_in_the_folder(found: SensitivityRecord, folder: Path) -> None:
    values = read_json(folder / "out" / "sensitivity.json")
    assert list(values)[:2] == ["schema", "kind"] and values["schema"] == 1
    assert sensitivity_record.from_json(values, "there") == found
    assert (folder / "out" / "sensitivity.md").read_text(encoding="utf-8") == sensitivity_report.markdown(found)
    assert (folder / "out" / "sensitivity.html").read_text(encoding="utf-8") == sensitivity_report.html(found)


def test_of_the_step_that_trained_on_the_grid_nothing_is_left_to_lose(prepared: Prepared) -> None:
    on_grid = sensitivity_commands.measure(prepared, 0.5, "qat", None, Reporter(quiet=True))
    assert on_grid.step == "qat" and len(on_grid.choices) == 1
    four = [cost for cost in on_grid.costs if cost.bits == 4]
    assert four and all(cost.lost == cost.won == 0 and cost.divergence < 1e-9 for cost in four)
    model = checkpoint.load_model(prepared.plan.learnt_by("qat").reference / "model.safetensors")
    assert {cost.layer for cost in on_grid.costs} <= {name.removesuffix(".weight") for name in model.state_dict()}


@pytest.mark.parametrize(
    ("names", "asked", "step"),
    [
        (["train"], None, "train"),
        (["train", "distill"], None, "distill"),
        (["train", "distill", "prune", "qat"], None, "prune"),
        (["train", "qat"], "qat", "qat"),
    ],
)
def test_the_step_is_the_last_before_the_grid_or_the_one_that_is_named(
    names: list[str], asked: str | None, step: str
) -> None:
    assert sensitivity_commands.step_of(names, asked) == step


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("qta", "--step: 'qta' is none of train, distill, prune, qat"),
        ("prune", r"--step prune: the recipe has no table \[prune\]; its steps: train, qat"),
    ],
)
def test_an_unknown_or_absent_step_is_told_before_the_work(
    prepared: Prepared, tmp_path: Path, asked: str, message: str
) -> None:
    fresh = run.prepare(prepared.recipe, "rapid", tmp_path / "build", Reporter(quiet=True), ablate=True)
    with pytest.raises(UsageError, match=message):
        sensitivity_commands.measure(fresh, 0.5, asked, tmp_path / "out", Reporter(quiet=True))
    assert not (tmp_path / "build").exists() and not (tmp_path / "out").exists()


def test_a_drop_that_is_no_number_is_refused(prepared: Prepared) -> None:
    for drop in (float("nan"), -1.0, float("inf")):
        with pytest.raises(UsageError, match=r"--max-drop: .* points"):
            sensitivity_commands.measure(prepared, drop, None, None, Reporter(quiet=True))
