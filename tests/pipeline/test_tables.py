"""The recipe's [tokenizer] table: what it builds."""

from pathlib import Path
from typing import Any

import pytest
import torch

from edgewright.data.characters import Characters
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer import Window
from edgewright.errors import UsageError
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import tables


def recipe_with(folder: Path, tokenizer: str) -> recipes.Recipe:
    path = folder / "small.toml"
    text = f'name = "small"\ntask = "urgency"\n[tokenizer]\n{tokenizer}\n[model]\nfamily = "text_cnn"\n'
    path.write_text(text + "[export]\nlengths = [16, 64]\n", encoding="utf-8")
    return recipes.read(path)


def test_a_recipe_with_characters_learns_them_from_the_texts(tmp_path: Path) -> None:
    table = 'kind = "characters"\nvocab_size = 9\nmin_frequency = 1\nstrip_marks = false\nwindow_stride = 32'
    built = tables.build_tokenizer(recipe_with(tmp_path, table), ["Été été", "abc"])
    assert built == Characters("ét abc", Normalisation(strip_marks=False), 64, Window(64, 32))


TAGGER = """
name = "small"
task = "entities"
[tokenizer]
kind = "hashed_ngrams"
features = 4
characters = 9
[model]
family = "tagger"
hidden = 8
[export]
lengths = [16]
"""


def read(folder: Path, text: str) -> recipes.Recipe:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return recipes.read(path)


def test_the_characters_of_words_are_the_tokenizers_and_the_models(tmp_path: Path) -> None:
    recipe = read(tmp_path, TAGGER)
    tables.check(recipe)
    tokenizer = tables.build_tokenizer(recipe, ())
    model: Any = tables.build_model(recipe, tokenizer, classes=3, seed=0)
    assert (tokenizer.features, model.config.features, model.config.characters) == (4, 4, 9)
    ids = torch.from_numpy(tokenizer.encode("Zoé is late"))
    assert model.methods((16,))[0].inputs[0].shape == ("batch", "length", ids.shape[1]) == ("batch", "length", 13)
    assert model(ids.unsqueeze(0)).shape == (1, 3, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("characters = 9", "characters = 65", r"\[tokenizer\]: characters is 65; it must be .* from 0 to 64"),
        ("characters = 9", "characters = -1", r"tokenizer\.characters: .*greater than or equal to 0"),
        ("hidden = 8", "characters = 8", r"\[model\]: 'characters' follows from the tokenizer and the labels"),
    ],
)
def test_wrong_characters_of_words_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tables.check(read(tmp_path, TAGGER.replace(old, new)))


def test_a_family_that_reads_no_characters_of_words_refuses_them(tmp_path: Path) -> None:
    text = TAGGER.replace('"entities"', '"urgency"').replace('"tagger"', '"ngram_hybrid"')
    with pytest.raises(UsageError, match=r"small\.toml: \[tokenizer\]: ngram_hybrid reads no characters of words"):
        tables.check(read(tmp_path, text))
    tables.check(read(tmp_path, text.replace("characters = 9", "")))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vocab_size = 3", r"small\.toml: tokenizer\.vocab_size: .*greater than or equal to 8"),
        ("vocab_sise = 9", r"\[tokenizer\]: unknown key 'vocab_sise'; did you mean 'vocab_size'"),
        ("buckets = 9", r"\[tokenizer\]: unknown key 'buckets'"),
    ],
)
def test_a_wrong_line_of_a_characters_table_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tables.tokenizer_table(recipe_with(tmp_path, f'kind = "characters"\n{line}'))
