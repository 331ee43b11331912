"""WordPiece: our encoding against the `tokenizers` library's own, and training that repeats."""

import json
import subprocess
import sys
import time

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from edgewright.data.text import words
from edgewright.data.wordpiece import UNKNOWN, WordPiece, train

TRAINING = [
    "The server is down again, please call me back as soon as you can.",
    "Could you please send the invoice for the second server?",
    "Le serveur est encore en panne, merci de me rappeler dès que possible.",
    "Pouvez-vous m'envoyer la facture du deuxième serveur ?",
    "Thank you for the quick answer; everything works as expected.",
    "Merci pour la réponse rapide, tout fonctionne comme prévu.",
    "I am unhappy with the delivery: the parcel was open and the server broken.",
    "The deliveries are late, the answers are slower, and nobody calls.",
] * 3
ASCII = [
    "the server answers slowly",
    "Unhappy deliverer, undeliverable serverless PARCELS!?",
    "a b c z q x 0 1 2 3",
    "e-mail me@example.com -- it's (very) urgent #42 [PAD] [UNK] ##er",
    "x" * 64 + " " + "x" * 65 + " the",
    "",
]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return train(TRAINING, vocab_size=300)


def library_ids(tokenizer: WordPiece, text: str) -> list[int]:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{piece: i for i, piece in enumerate(tokenizer.vocabulary, 2)}}
    library = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=64))
    library.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    return list(library.encode(" ".join(words(text)), add_special_tokens=False).ids)


@pytest.mark.parametrize("text", ASCII + TRAINING[:8])
def test_same_ids_as_the_library(tokenizer: WordPiece, text: str) -> None:
    assert tokenizer.encode(text).tolist() == library_ids(tokenizer, text)


def test_training_uses_the_vocabulary_it_is_given(tokenizer: WordPiece) -> None:
    assert 250 < tokenizer.vocab_size <= 300
    assert UNKNOWN not in tokenizer.encode(" ".join(TRAINING))
    assert len(tokenizer.encode("the server")) == 2


def test_training_in_another_process_gives_the_same_vocabulary(tokenizer: WordPiece) -> None:
    code = (
        "import sys, json; from edgewright.data.wordpiece import train;"
        "print(json.dumps(train(json.load(sys.stdin), vocab_size=300).vocabulary))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(TRAINING), capture_output=True, text=True, check=True
    )
    assert tuple(json.loads(done.stdout)) == tokenizer.vocabulary


def test_rare_characters_do_not_fill_a_small_vocabulary() -> None:
    many = "".join(chr(c) for c in range(0x400, 0x500))
    trained = train([*TRAINING, " ".join(many)], vocab_size=100)
    assert trained.vocab_size <= 100
    assert UNKNOWN not in trained.encode("the")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("un", [2]),
        ("unhappy", [2, 4]),  # un ##happy, not un ##h...
        ("uno", [UNKNOWN]),  # a tail that no piece covers makes the whole word unknown
        ("happy", [UNKNOWN]),  # ##happy only continues
        ("un un", [2, 2]),
        ("É É", [5, 5]),
        ("\0 \u200b", []),
        ("e" * 65, [UNKNOWN]),
    ],
)
def test_pieces_of(text: str, expected: list[int]) -> None:
    tokenizer = WordPiece(vocabulary=("un", "##h", "##happy", "e", "##e"))
    assert tokenizer.encode(text).tolist() == expected


def test_an_empty_vocabulary_knows_nothing() -> None:
    assert WordPiece(vocabulary=()).encode("a b").tolist() == [UNKNOWN, UNKNOWN]


def test_no_texts_train_an_empty_vocabulary() -> None:
    assert train([], vocab_size=10).vocabulary == ()


def test_a_vocabulary_too_small_for_one_character_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size is 3; it must be a whole number from 4"):
        train(TRAINING, vocab_size=3)


def test_a_text_of_a_megabyte_takes_seconds_at_most(tokenizer: WordPiece) -> None:
    for text in ("some words, and more. " * 45_000, "a" * 1_000_000, ("e" * 63 + "~ ") * 15_000):
        start = time.perf_counter()
        tokenizer.encode(text)
        assert time.perf_counter() - start < 10  # 0.2 s on a 2-core machine; quadratic cost would be hours
