"""The table of ranges, and the plain recipe that a point becomes."""

from pathlib import Path
from typing import Any

import pytest

from edgewright.errors import UsageError
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.recipe import Recipe
from edgewright.pipeline.search import trial
from edgewright.pipeline.search.space import Range, example, own_point, recipe_of, space_of
from edgewright.pipeline.search.toml import recipe_text
from tests.end_to_end.runs import SMALL

TABLE = """
[search]
targets = ["onnx", "litert"]
numerics = ["int8"]
[search.families.ngram_hybrid]
"model.width" = [16, 32]
"tokenizer.buckets" = { low = 500, high = 4000, log = true }
"train.weight_decay" = { low = 0.0, high = 0.2, step = 0.05 }
"model.hidden" = 24
"""


def small(tmp_path: Path, more: str = "") -> Recipe:
    path = tmp_path / "small.toml"
    path.write_text(SMALL + more, encoding="utf-8")
    return recipes.read(path)


def test_without_a_table_the_recipes_own_point_is_in_the_space(tmp_path: Path) -> None:
    recipe = small(tmp_path)
    space = space_of(recipe, ("onnx",))
    assert list(space.families) == ["ngram_hybrid", "text_cnn"] and space.targets == ("onnx",)
    point = own_point(recipe, space)
    assert point is not None and point["ngram_hybrid.model.width"] == 16
    assert point["ngram_hybrid.tokenizer.buckets"] == 2000 and point["ngram_hybrid.tokenizer.features"] == 8
    assert point["ngram_hybrid.model.feature_dropout"] == 0.0 and point["ngram_hybrid.prune.channels"] == 0.0


def test_a_table_names_families_targets_and_ranges(tmp_path: Path) -> None:
    space = space_of(small(tmp_path, TABLE))
    ranges = space.families["ngram_hybrid"]
    assert list(space.families) == ["ngram_hybrid"] and space.targets == ("onnx", "litert")
    assert ranges["model.width"].choices == (16, 32) and ranges["model.hidden"].choices == (24,)
    assert (ranges["tokenizer.buckets"].low, ranges["tokenizer.buckets"].log) == (500, True)
    assert ranges["train.weight_decay"].step == 0.05 and "model.bag_hidden" in ranges  # a default


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[search]\ntargts = []", "did you mean 'targets'?"),
        ("[search.families.ngram_hybird]", "no such family"),
        ("[search.families.tagger]", "learns tasks of kind 'tags'"),
        ('[search.families.ngram_hybrid]\n"width" = [16]', "must be table.key"),
        ('[search.families.ngram_hybrid]\n"model.width" = {low = 4, hihg = 8}', "did you mean 'high'?"),
        ('[search.families.ngram_hybrid]\n"model.width" = {low = 8, high = 4}', "low 8 is above high 4"),
        ("[search.families.encoder]\n", "has no ranges"),
        ('[search]\ntargets = ["coreml"]\nnumerics = ["int4", "fp64"]', "numerics"),
    ],
)
def test_a_wrong_table_is_one_line_that_says_where(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        space_of(small(tmp_path, table + "\n"))
    assert words in str(caught.value) and "small.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_every_family_of_the_space_gives_a_recipe_that_can_be_planned(tmp_path: Path) -> None:
    recipe = small(tmp_path)
    space = space_of(recipe)
    for family in space.families:
        point = recipe_of(recipe, space, example(space, family), {})
        made = trial.plan(point, "rapid", tmp_path / "build")
        assert {target for target, _ in made.trained.exports} == set(space.targets)


def test_a_point_becomes_a_plain_recipe(tmp_path: Path) -> None:
    recipe = small(tmp_path)
    space = space_of(recipe, ("onnx", "executorch"))
    settings = {"family": "ngram_hybrid", "numerics": "int4", "model.width": 32, "prune.channels": 0.5}
    settings |= {"quantize.bits.embedding": 4, "tokenizer.buckets": 999}
    found = recipe_of(recipe, space, settings, {"max_shipped_bytes": 1000})
    assert found.model == {**recipe.model, "width": 32} and found.tokenizer["buckets"] == 999
    assert found.quantize.bits == {"embedding": 4} and found.prune == {"channels": 0.5}
    assert found.export.cells() == [("onnx", "dynamic_wi4_afp32"), ("executorch", "dynamic_wi4_afp32")]
    assert found.gates == {**recipe.gates, "max_shipped_bytes": 1000} and found.name == "small-found"
    assert recipe.model["width"] == 16  # the recipe itself is as it was
    assert recipe_of(recipe, space, settings | {"prune.channels": 0.0}, {}).prune == {}
    other = recipe_of(recipe, space, {"family": "text_cnn", "numerics": "int8", "tokenizer.vocab_size": 500}, {})
    assert other.tokenizer == {"kind": "wordpiece", "vocab_size": 500} and other.model == {"family": "text_cnn"}


def test_the_text_of_a_recipe_reads_back_as_the_same_recipe(tmp_path: Path) -> None:
    more = """
[distill]
teachers = ["tfidf", { name = "teacher_clinc", weight = 0.5 }]
[distill.transfer]
[rapid.train]
epochs = 1
"""
    recipe = small(tmp_path, more)
    space = space_of(recipe, ("onnx",))
    settings = {"family": "ngram_hybrid", "numerics": "int8", "model.feature_dropout": 0.1}
    found = recipe_of(recipe, space, settings, {})
    path = tmp_path / "found.toml"
    path.write_text(recipe_text(found, 'one\n"two"'), encoding="utf-8")
    again: dict[str, Any] = vars(recipes.read(path)) | {"path": found.path}
    assert again == vars(found)


def test_a_teacher_that_lies_beside_the_recipe_is_found_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL, encoding="utf-8")
    recipe = small(tmp_path, '[distill]\nteachers = ["mine.toml"]\n')
    assert f'teachers = ["{(tmp_path / "mine.toml").resolve()}"]' in recipe_text(recipe, "")


@pytest.mark.parametrize(
    ("given", "value", "nearest"),
    [
        (Range(choices=(16, 32, 64)), 40, 32),
        (Range(choices=("a", "b", "c")), "c", "c"),
        (Range(choices=("a", "b", "c")), None, "b"),
        (Range(low=100, high=1000), 5000, 1000),
        (Range(low=1, high=100, log=True), None, 10),
        (Range(low=0.0, high=0.5, step=0.1), 0.22, 0.2),
    ],
)
def test_the_nearest_value_of_a_range(given: Range, value: Any, nearest: Any) -> None:
    assert given.nearest(value) == pytest.approx(nearest) and type(given.nearest(value)) is type(nearest)
