"""Byte-level BPE: every text comes back, our encoding equals the `tokenizers` library's own, and training repeats."""

import json
import random
import subprocess
import sys
import time

import pytest
from tokenizers import Tokenizer, models

from edgewright.data.byte_bpe import LONGEST_PRETOKEN, ByteBPE, pretokens, train
from edgewright.data.text import DEFAULT

TRAINING = [
    "The server is down again,\nplease call me back as soon as you can.",
    "Could you please send the invoice for the second server?",
    "Le serveur est encore en panne,  merci de me rappeler dès que possible.",
    "Pouvez-vous m'envoyer la facture du deuxième serveur ? 🙂",
    "Thank you for the quick answer; everything works as expected 🙂",
] * 4
TEXTS = [
    "",
    "a",
    "the server  answers\n\n slowly,\tok ",
    "Élève e\u0301 ß İ ﬁ",
    "👩‍👩‍👧‍👦 👍🏽 🇫🇷 1️⃣",
    "مرحبا بالعالم",
    "日本語 한국어 ไทย हिन्दी",
    "\0\x01\x7f\u200b\ufeff\u2028",
    "\U0010ffff\ue000\U0001fae8",
    "x" * 1000 + " " * 1000 + "!" * 1000,
]


@pytest.fixture(scope="module")
def tokenizer() -> ByteBPE:
    return train(TRAINING, vocab_size=400)


@pytest.mark.parametrize("text", TEXTS + TRAINING[:5], ids=ascii)
def test_the_ids_give_the_text_back(tokenizer: ByteBPE, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_random_text_comes_back(tokenizer: ByteBPE) -> None:
    chance = random.Random(0)
    for _ in range(200):
        code_points = [chance.randrange(chance.choice([128, 0x500, 0xD800, 0x110000])) for _ in range(50)]
        text = "".join(chr(c) for c in code_points if not 0xD800 <= c < 0xE000)
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_lone_surrogate_comes_back_as_the_replacement_character(tokenizer: ByteBPE) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"


def test_padding_decodes_to_nothing(tokenizer: ByteBPE) -> None:
    assert tokenizer.decode([0, *tokenizer.encode("ok"), 0, 0]) == "ok"


def test_a_cut_character_decodes_to_the_replacement_character(tokenizer: ByteBPE) -> None:
    assert ByteBPE(merges=()).decode(ByteBPE(merges=()).encode("a🙂")[:-1]) == "a\ufffd"


@pytest.mark.parametrize("index", [-1, 10**6])
def test_an_id_out_of_range_is_refused(tokenizer: ByteBPE, index: int) -> None:
    with pytest.raises(ValueError, match=f"the id {index} is not one of 0 to {tokenizer.vocab_size - 1}"):
        tokenizer.decode([index])


@pytest.mark.parametrize("text", TEXTS + TRAINING[:5], ids=ascii)
def test_pretokens_are_parts_of_the_text(text: str) -> None:
    assert "".join(pretokens(text)) == text
    assert all(0 < len(part) <= LONGEST_PRETOKEN for part in pretokens(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\n\nc", ["a", " ", " b", "\n", "\n", "c"]),
        ("it's 日本go, ok?!", ["it", "'", "s", " 日本go", ",", " ok", "?!"]),
        ("a\0\u200bb", ["a", "\0\u200b", "b"]),  # control characters go with signs
        ("x" * 70, ["x" * 64, "x" * 6]),
        (" " + "x" * 70, [" " + "x" * 64, "x" * 6]),
        (" " * 70 + "x", [" " * 64, " " * 5, " x"]),
        (" " * 64 + "x", [" " * 63, " x"]),
        (" " * 65, [" " * 64, " "]),
        ("\u3000\u3000é", ["\u3000", "\u3000", "é"]),  # only U+0020 joins what follows
    ],
)
def test_pretokens_of(text: str, expected: list[str]) -> None:
    assert list(pretokens(text)) == expected


def test_same_ids_as_the_library(tokenizer: ByteBPE) -> None:
    shown = ["", *(chr(0x100 + byte) for byte in range(256))]
    merges = []
    for left, right in tokenizer.merges:
        merges.append((shown[left], shown[right]))
        shown.append(shown[left] + shown[right])
    library = Tokenizer(models.BPE({token: i for i, token in enumerate(shown) if i}, merges))
    # unlike ASCII alone: bytes do not depend on anybody's tables
    for text in TEXTS + TRAINING + ["serverserver pleaseeee aaaaabaaaab ananananas"]:
        expected: list[int] = []
        for part in pretokens(text):
            expected += library.encode("".join(chr(0x100 + byte) for byte in part.encode())).ids
        assert tokenizer.encode(text).tolist() == expected


def test_the_first_merge_has_precedence() -> None:
    a, b, c = (1 + byte for byte in b"abc")
    assert ByteBPE(merges=((a, b), (b, c))).encode("abc").tolist() == [257, c]
    assert ByteBPE(merges=((b, c), (a, b))).encode("abc").tolist() == [a, 257]
    assert ByteBPE(merges=((a, a), (257, 257))).encode("aaaaaaa").tolist() == [258, 257, a]


def test_training_learns_frequent_words(tokenizer: ByteBPE) -> None:
    assert 300 < tokenizer.vocab_size <= 400
    assert len(tokenizer.encode(" server")) == 1


def test_training_in_another_process_gives_the_same_merges(tokenizer: ByteBPE) -> None:
    code = (
        "import sys, json; from edgewright.data.byte_bpe import train;"
        "print(json.dumps(train(json.load(sys.stdin), vocab_size=400).merges))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(TRAINING), capture_output=True, text=True, check=True
    )
    assert tuple(map(tuple, json.loads(done.stdout))) == tokenizer.merges


def test_training_follows_the_normalisation() -> None:
    trained = train(["ÉTÉ"] * 9, vocab_size=300, normalisation=DEFAULT)
    assert trained.decode(trained.encode("ÉTÉ")) == "ete"
    assert len(trained.encode("été")) == 1


def test_no_texts_train_the_bare_bytes() -> None:
    assert train([], vocab_size=300).merges == ()
    assert train(TRAINING, vocab_size=257).merges == ()


def test_a_text_of_a_megabyte_takes_seconds_at_most(tokenizer: ByteBPE) -> None:
    chance = random.Random(0)
    noise = "".join(chance.choices("abcdefghij", k=200_000))
    for text in ("some words, and more. " * 45_000, "a" * 1_000_000, noise, "🙂" * 250_000):
        start = time.perf_counter()
        tokenizer.encode(text)
        assert time.perf_counter() - start < 10  # 0.3 s on a 2-core machine; quadratic cost would be hours
