"""Fewer rows of the embedding: folded buckets are the smaller tokenizer, and kept pieces spell as before."""

from typing import Any

import numpy as np
import pytest
import torch

from edgewright.compress.vocabulary import fold, uses, with_rows, without_rare
from edgewright.data import byte_bpe, characters, wordpiece
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer import Tokenizer, from_json
from edgewright.data.tokenizer_fields import Bert
from edgewright.data.wordpiece import WordPiece
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig

TEXTS = [
    "the boiler in the cellar leaks, please come today",
    "please cancel the meeting of tomorrow afternoon",
    "Where is my parcel? It should have come on Tuesday.",
    "the parcel came, thank you",
]
MORE = ["unpleasant cellars", "leaking boilers everywhere", "café naïve résumé", "日本語のテキスト"]


@pytest.mark.parametrize("settings", [{}, {"characters": 4}, {"features": 6, "ngrams": (2, 3, 4)}])
def test_a_folded_tokenizer_is_the_one_with_so_many_buckets(settings: Any) -> None:
    large = HashedNgrams(buckets=1200, **settings)
    small, rows = fold(large, 400)
    assert small == HashedNgrams(buckets=400, **settings)
    for text in TEXTS + MORE:
        features = large.encode(text)[:, : large.features]
        assert np.array_equal(rows[features], small.encode(text)[:, : small.features])


@pytest.mark.parametrize("buckets", [500, 1200, 2400])
def test_buckets_that_do_not_divide_are_refused(buckets: int) -> None:
    with pytest.raises(ValueError, match=f"buckets is {buckets}; 1200 buckets fold to a divisor of their number, 600"):
        fold(HashedNgrams(buckets=1200), buckets)


def test_a_model_of_folded_buckets_says_the_same_where_rows_that_meet_were_equal() -> None:
    large = HashedNgrams(buckets=1200, features=8)
    small, rows = fold(large, 400)
    torch.manual_seed(0)
    model = NgramHybrid(NgramHybridConfig(vocab_size=large.vocab_size, features=8, width=16, hidden=16)).eval()
    with torch.no_grad():
        model.embedding.weight.copy_(model.embedding.weight[torch.from_numpy(rows)])
    folded: Any = with_rows(model, "ngram_hybrid", rows, uses(large, TEXTS))
    assert folded.config.vocab_size == small.vocab_size
    for text in TEXTS:
        before = model(torch.from_numpy(large.encode(text)[None]))
        after = folded(torch.from_numpy(small.encode(text)[None]))
        assert (before - after).abs().max() < 1e-5


def test_rows_that_meet_are_averaged_by_their_uses() -> None:
    model = TextCNN(TextCNNConfig(vocab_size=4, width=8))
    merged: Any = with_rows(model, "text_cnn", np.array([0, 1, 1, -1]), np.array([0, 3, 1, 9]))
    table = model.embedding.weight
    wanted = torch.stack([table[0], 0.75 * table[1] + 0.25 * table[2]])
    assert torch.allclose(merged.embedding.weight, wanted, atol=1e-3)


def trained(kind: str) -> Tokenizer:
    """A tokenizer with pieces that TEXTS do not use."""
    learn: Any = {"wordpiece": wordpiece.train, "byte_bpe": byte_bpe.train, "characters": characters.train}[kind]
    made: Tokenizer = learn([*TEXTS, *MORE * 3], 420, min_frequency=1, specials=("start", "end"))
    return made


@pytest.mark.parametrize("kind", ["wordpiece", "byte_bpe", "characters"])
def test_without_pieces_that_no_text_uses_every_text_keeps_its_pieces(kind: str) -> None:
    large = trained(kind)
    small, rows = without_rare(large, uses(large, TEXTS), 1)
    assert small.vocab_size == rows.max() + 1 < large.vocab_size
    for text in TEXTS:
        assert np.array_equal(small.encode(text), rows[large.encode(text)])
    assert from_json(small.to_json()) == small
    assert small.specials == large.specials == ("start", "end")  # type: ignore[attr-defined]
    if kind != "characters":  # whose other characters are unknown now
        for text in MORE:
            assert small.decode(small.encode(text)) == large.decode(large.encode(text))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["wordpiece", "byte_bpe", "characters"])
def test_rare_pieces_are_spelled_by_others(kind: str) -> None:
    large = trained(kind)
    counts = uses(large, TEXTS)
    sizes = [without_rare(large, counts, least)[0].vocab_size for least in (1, 2, 3)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[2]
    small, _ = without_rare(large, counts, 2)
    if kind != "characters":
        assert all(small.decode(small.encode(text)) == large.decode(large.encode(text)) for text in TEXTS)  # type: ignore[attr-defined]


def test_berts_own_pieces_stay_and_keep_their_meaning() -> None:
    vocabulary = ("[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdehlorst", "##s", "##er", "boil", "never", "the", "##oiler")
    large = WordPiece(vocabulary, Normalisation(), bert=Bert(unknown=2, first=3, last=4))
    small, rows = without_rare(large, uses(large, ["the boilers"]), 1)
    assert isinstance(small, WordPiece)
    assert set(vocabulary) - set(small.vocabulary) == {"[MASK]", "never", "##oiler"}
    assert np.array_equal(small.encode("the boilers xyz"), rows[large.encode("the boilers xyz")])
