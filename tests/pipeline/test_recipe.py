"""Recipes: what is wrong is said in one line, with the file, the place and a guess."""

from pathlib import Path

import pytest

from edgewright.compress.numerics import DENSE
from edgewright.errors import UsageError
from edgewright.pipeline import makers, tables
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.recipe import Recipe

GOOD = """
name = "small"
task = "urgency"
[tokenizer]
kind = "hashed_ngrams"
buckets = 500
[model]
family = "ngram_hybrid"
[rapid.train]
epochs = 1
[rapid.gates]
min_accuracy = 0.1
"""


def read(folder: Path, text: str) -> Recipe:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    found = recipes.read(path)
    tables.check(found)
    return found


def test_every_packaged_recipe_is_right() -> None:
    assert {"urgency", "intent", "banking"} <= set(recipes.packaged())
    for path in recipes.packaged().values():
        for effort in recipes.EFFORTS:
            recipe = recipes.read(path).for_effort(effort)
            makers.MAKERS[recipe.task_with_gates().kind].check(recipe)


def test_rapid_replaces_what_its_table_names_and_nothing_else(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + "\n[train]\nbatch_size = 7\n")
    rapid = found.for_effort("rapid")
    assert (rapid.train, found.train) == ({"batch_size": 7, "epochs": 1}, {"batch_size": 7})
    assert rapid.task_with_gates().targets.min_accuracy == 0.1
    assert found.task_with_gates().targets.min_accuracy == 0.85


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[train]\nepohcs = 3", r"small.toml: \[train\]: unknown key 'epohcs'; did you mean 'epochs'\?"),
        ("[train]\nepochs = 0", r"small.toml: train.epochs: .*greater than or equal to 1"),
        ("[export]\nlenghts = [8]", r"\[export\]: unknown key 'lenghts'; did you mean 'lengths'"),
        ("[export]\nlengths = [16, 8]", r"export.lengths: must be ascending"),
        ("[export]\nnumerics = 'som'", r"small.toml: export.numerics"),
        ("[export]\ntargets = ['onyx']", r"export.targets.0: .*'onnx'"),
        ("[export.ship]\nonnx = 'fp16'", r"export.ship.onnx: fp16 is unsupported there: ONNX Runtime's CPU kernels"),
        ("[export.ship]\nonnx = 'static_wi8_ai8'", r"is not among the run's numerics"),
        ("[gates]\nmin_acuracy = 1", r"gates: unknown key 'min_acuracy'; did you mean 'min_accuracy'"),
        ("[gates]\nmin_accuracy = 2", r"small.toml: gates.min_accuracy"),
        ("[data]\ncount = 1", r"data.count"),
        ("[quantise]\nbits = 8", r"the top level: unknown key 'quantise'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read(tmp_path, GOOD + more)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('task = "urgency"', 'task = "urgancy"', "no task is called 'urgancy'; did you mean 'urgency'"),
        ('family = "ngram_hybrid"', 'family = "bert"', r"\[model\]: family must be one of text_cnn, ngram_hybrid"),
        ('family = "ngram_hybrid"', 'family = "text_cnn"', "text_cnn takes the ids of wordpiece or byte_bpe"),
        ('family = "ngram_hybrid"', 'family = "ngram_hybrid"\nclasses = 3', "'classes' follows from"),
        ('kind = "hashed_ngrams"', 'kind = "hashed_ngrams"\nbucket = 3', "did you mean 'buckets'"),
        ('kind = "hashed_ngrams"', 'kind = "words"', r"\[tokenizer\]: kind must be one of"),
        ('name = "small"', "", "name: Field required"),
        ('name = "small"', "name = ", "Invalid value"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read(tmp_path, GOOD.replace(old, new))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("sparse", "dense"), DENSE.items())
def test_leaving_zeros_out_of_a_model_without_zeros_is_refused(tmp_path: Path, sparse: str, dense: str) -> None:
    asked = f"[export.numerics]\ncoreml = ['fp16', '{sparse}']\n"
    with pytest.raises(
        UsageError, match=rf"small.toml: export.numerics.coreml: {sparse} leaves out .*\[prune\].*{dense}"
    ):
        read(tmp_path, GOOD + asked)
    assert ("coreml", sparse) in read(tmp_path, GOOD + asked + "[prune]\nsparsity = 0.5\n").export.cells()
    assert ("coreml", sparse) in read(tmp_path, GOOD + "[export]\nnumerics = 'all'\n").export.cells()
    asked = f"[export.numerics]\nlitert = ['{sparse}']\n"  # unsupported, which the report says with its reason
    assert read(tmp_path, GOOD + asked).export.cells() == [("litert", sparse)]


def test_a_missing_recipe_lists_those_that_come_with_the_package() -> None:
    with pytest.raises(UsageError, match=r"no such recipe; give a .toml file, or one of: .*urgency"):
        recipes.read(Path("nowhere.toml"))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is a folder; give a \.toml file in it"):
        recipes.read(tmp_path)


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        recipes.read(path)


def test_int8_stands_for_the_form_of_each_target(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + "[export.numerics]\ncoreml = ['fp16', 'int8']\nlitert = ['int8']\n")
    assert set(found.export.cells()) == {
        ("coreml", "fp16"),
        ("coreml", "weight_only_wi8_afp16"),
        ("litert", "dynamic_wi8_afp32"),
    }
