"""The recipe's [tokenizer] table: what it builds."""

from pathlib import Path

import pytest

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
