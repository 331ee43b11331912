"""Characters: one id each, the vocabulary by frequency, and text back from ids."""

import random
import subprocess
import sys
from itertools import pairwise

import pytest

from edgewright.data.characters import FIRST_CHARACTER, UNKNOWN, Characters, train
from edgewright.data.text import DEFAULT, UNCHANGED, Normalisation, normalise

TRAINING = [
    "The server is down again, please call me back as soon as you can.",
    "Le serveur est encore en panne, merci de me rappeler dès que possible.",
    "服务器坏了。你好，世界。服务器又坏了。",
] * 3
KEEPING = Normalisation(lowercase=False, strip_marks=False)


@pytest.fixture(scope="module")
def tokenizer() -> Characters:
    return train(TRAINING, vocab_size=60, normalisation=KEEPING)


def random_texts(count: int) -> list[str]:
    """Of all planes, lone surrogates and controls among them."""
    chance = random.Random(0)
    tops = [128, 0x500, 0xA000, 0x110000]
    return ["".join(chr(chance.randrange(chance.choice(tops))) for _ in range(60)) for _ in range(count)]


@pytest.mark.parametrize("options", [DEFAULT, KEEPING, UNCHANGED])
def test_each_normalised_character_is_one_id(options: Normalisation) -> None:
    tokenizer = Characters("aé日\U0001f600 \0", options)
    for text in ["", "aÉ日\U0001f600\0", *random_texts(100)]:
        normalised = normalise(text, options)
        ids = tokenizer.encode(text).tolist()
        assert len(ids) == len(normalised)
        for index, character in zip(ids, normalised, strict=True):
            assert index == (
                tokenizer.vocabulary.index(character) + 2 if character in tokenizer.vocabulary else UNKNOWN
            )


def test_known_text_comes_back_and_the_rest_as_the_replacement_character(tokenizer: Characters) -> None:
    for text in [*TRAINING, *random_texts(200)]:
        normalised = normalise(text, KEEPING)
        expected = "".join(c if c in tokenizer.vocabulary else "\ufffd" for c in normalised)
        assert tokenizer.decode(tokenizer.encode(text)) == expected
    assert tokenizer.decode(tokenizer.encode(TRAINING[0])) == TRAINING[0]


@pytest.mark.parametrize("limit", [0, 1, 7, 59, 60, 10**6])
def test_a_limit_gives_the_first_ids_of_any_text(tokenizer: Characters, limit: int) -> None:
    for text in random_texts(50):
        assert tokenizer.encode(text, limit).tolist() == tokenizer.encode(text).tolist()[:limit]


def test_one_of_two_utf_16_units_is_no_character() -> None:
    assert Characters("\U0001f600", UNCHANGED).encode("\U0001f600\ud83d\ude00x").tolist() == [2, 1, 1, 1]


def test_training_orders_by_frequency_and_then_by_code_point() -> None:
    assert train(["ccc bb aa d"], vocab_size=7, normalisation=UNCHANGED).vocabulary == " cab"
    assert train(["ccc bb aa d"], vocab_size=7, min_frequency=1, normalisation=UNCHANGED).vocabulary == " cabd"
    assert train(["ccc bb aa d"], vocab_size=4, normalisation=UNCHANGED).vocabulary == " c"
    assert train(["ccc bb aa d"], vocab_size=4, specials=("end",)).vocabulary == " "


def test_training_ignores_the_order_of_the_texts_and_the_process(tokenizer: Characters) -> None:
    assert train(TRAINING[::-1], vocab_size=60, normalisation=KEEPING) == tokenizer
    code = (
        "from edgewright.data.characters import train; from edgewright.data.text import Normalisation;"
        f"print(ascii(train({TRAINING!r}, 60, normalisation={KEEPING!r}).vocabulary))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(tokenizer.vocabulary)


def test_training_counts_normal_forms() -> None:
    trained = train(["ÉÉe"], vocab_size=10)
    assert trained.vocabulary == "e" and trained.encode("Éxe\u0301").tolist() == [FIRST_CHARACTER, UNKNOWN, 2]


def test_no_texts_train_an_empty_vocabulary() -> None:
    assert train([]).vocabulary == ""
    assert train([]).encode("ab").tolist() == [UNKNOWN, UNKNOWN]


def test_a_vocabulary_too_small_for_one_character_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size is 2; it must be a whole number from 3"):
        train(TRAINING, vocab_size=2)
    with pytest.raises(ValueError, match="vocab_size is 4; it must be a whole number from 5"):
        train(TRAINING, vocab_size=4, specials=("start", "end"))


def test_five_thousand_chinese_characters() -> None:
    alphabet = "".join(map(chr, range(0x4E00, 0x4E00 + 4998)))
    texts = [alphabet, alphabet[::-1]]
    tokenizer = train(texts, vocab_size=5000)
    assert tokenizer.vocab_size == 5000 and sorted(tokenizer.vocabulary) == sorted(alphabet)
    assert sorted(tokenizer.encode(alphabet).tolist()) == list(range(2, 5000))
    assert tokenizer.decode(tokenizer.encode(texts[1])) == texts[1]


def test_ids_ascend_with_rarity() -> None:
    trained = train(["aaaa bbb cc d " * 2], normalisation=UNCHANGED)
    counts = ["aaaa bbb cc d ".count(character) for character in trained.vocabulary]
    assert all(more >= fewer for more, fewer in pairwise(counts))
