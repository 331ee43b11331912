"""What a recipe says about pruning is checked before any work is done, and every mistake is one clear line."""

from pathlib import Path

import pytest

from edgewright.errors import MissingExtraError, UsageError
from edgewright.pipeline import compression, recipe
from edgewright.pipeline.compression import changes_words, check, prune_config, steps
from edgewright.pipeline.recipe import Recipe
from tests.end_to_end.runs import SMALL

CNN = SMALL.replace('kind = "hashed_ngrams"\nbuckets = 2000\nfeatures = 8', 'kind = "wordpiece"\nvocab_size = 1000')
CNN = CNN.replace('family = "ngram_hybrid"\nwidth = 16\nhidden = 16\nbag_hidden = 32', 'family = "text_cnn"')


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "pruned.toml"
    path.write_text(text, encoding="utf-8")
    return recipe.read(path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("chanels = 0.5", "[prune]: unknown key 'chanels'; did you mean 'channels'?"),
        ("channels = 1.0", "prune.channels: Input should be less than 1, not 1.0"),
        ("epochs = 3", "it removes nothing; give channels, heads, width, buckets, min_uses or sparsity"),
        ("heads = 0.5", "prune.heads: a model of the family ngram_hybrid has none; remove it"),
        ("channels = 0.1", "prune.channels: 0.1 of hidden 16, bag_hidden 32 removes nothing"),
        ("buckets = 1500", "prune.buckets is 1500; 2000 buckets fold to a divisor of their number, 1000 at most"),
        ("min_uses = 2", "prune.min_uses: hashed n-grams have no pieces to leave out; they have buckets"),
        ("sparsity = 0.5\n[qat]\nbits = 8", "prune.sparsity: training on the grid of [qat] would fill the zeros"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, table: str, message: str) -> None:
    wrong = read(tmp_path, f"{SMALL}[prune]\n{table}\n")
    with pytest.raises(UsageError) as caught:
        check(wrong, wrong.task_with_gates())
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_buckets_are_for_hashed_ngrams(tmp_path: Path) -> None:
    wrong = read(tmp_path, f"{CNN}[prune]\nbuckets = 500\n")
    with pytest.raises(UsageError, match="a wordpiece tokenizer has none; it has min_uses"):
        check(wrong, wrong.task_with_gates())


def test_without_the_library_the_install_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    asked = read(tmp_path, f"{SMALL}[prune]\nchannels = 0.5\n")
    with pytest.raises(MissingExtraError, match=r"pip install 'edgewright\[prune\]'"):
        check(asked, asked.task_with_gates())
    folded = read(tmp_path, f"{SMALL}[prune]\nbuckets = 500\n")
    check(folded, folded.task_with_gates())  # needs no library


@pytest.mark.parametrize(("table", "changed"), [("buckets = 500", True), ("channels = 0.5\nsparsity = 0.5", False)])
def test_only_another_vocabulary_brings_another_tokenizer(tmp_path: Path, table: str, changed: bool) -> None:
    made = read(tmp_path, f"{SMALL}[prune]\n{table}\n")
    check(made, made.task_with_gates())
    assert steps(made) == ["prune"]
    assert changes_words(made, "prune") is changed
    assert not changes_words(made, "qat")
    assert prune_config(read(tmp_path, SMALL)) is None
