"""A vocabulary of BERT's: the words it was made for, its ids around each text, and what is refused."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgewright.data import bert
from edgewright.data.text import DEFAULT
from edgewright.data.tokenizer import from_json, load, pieces, save
from edgewright.data.tokenizer_fields import Bert, Window
from edgewright.data.wordpiece import WordPiece

UNKNOWN, FIRST, LAST = 2, 3, 4
PIECES = ("[UNK]", "[CLS]", "[SEP]", "a", "##a", "b", "_", "5", "##€", "€", "##5", "!", "$", "日", "e", "##x", "x")
TOKENIZER = WordPiece(PIECES, bert=Bert(UNKNOWN, FIRST, LAST))


def ids(*pieces: str) -> list[int]:
    return [FIRST, *(2 + PIECES.index(piece) for piece in pieces), LAST]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ids()),
        (" \u200b\0", ids()),
        ("a_b", ids("a", "_", "b")),  # ours: one word
        ("5€ €5", ids("5", "##€", "€", "##5")),  # ours: two words each
        ("a$b!", ids("a", "$", "b", "!")),
        ("a日B", ids("a", "日", "b")),
        ("É e\u0301", ids("e", "e")),
        ("q a", ids("[UNK]", "a")),
        ("[SEP]", ids("[UNK]", "[UNK]", "[UNK]")),  # no text gives the pieces around it
        ("x" * 100, ids("x", *["##x"] * 99)),
        ("x" * 101, ids("[UNK]")),
    ],
)
def test_ids_of(text: str, expected: list[int]) -> None:
    assert TOKENIZER.encode(text).tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "a b!",
        "it's 5€, $5 or a_b…",
        "Ünïted «e»日本 🙂🙂 e™",
        "x" * 100 + " " + "x" * 101,
        "a\u200bb \tc\u00a0a",
        "^`|~<=>+",
    ],
)
def test_same_ids_as_the_library_of_bert(text: str) -> None:
    vocabulary = {"[PAD]": 0, "[unused]": 1, **{piece: i for i, piece in enumerate(PIECES, 2)}}
    library = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    library.normalizer = normalizers.BertNormalizer()
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.BertProcessing(("[SEP]", LAST), ("[CLS]", FIRST))
    assert TOKENIZER.encode(text).tolist() == library.encode(text).ids


@pytest.mark.parametrize("limit", range(8))
def test_a_limit_gives_the_first_ids(limit: int) -> None:
    for text in ("", "a", "a a_a 5€", "aaaaaaaa " * 50):
        assert TOKENIZER.encode(text, limit).tolist() == TOKENIZER.encode(text).tolist()[:limit]


def test_a_limit_finds_the_same_words_in_a_long_text() -> None:
    text = "5€ a_b, " * 200 + "€" * 500 + " b"
    words = bert.words(text, DEFAULT)
    for limit in (0, 1, 7, 799, 1001, 1100):
        assert bert.words(text, DEFAULT, limit) == words[:limit]


def test_only_the_first_window_has_the_first_id() -> None:
    windowed = WordPiece(PIECES, max_tokens=4, window=Window(4, 3), bert=Bert(UNKNOWN, FIRST, LAST))
    assert [part.tolist() for part in pieces(windowed, "a b a b")] == [[3, 5, 7, 5], [5, 7, 4]]


def test_decoding_leaves_out_what_stands_around_a_text() -> None:
    assert TOKENIZER.decode([*TOKENIZER.encode("5€ q a!"), 0, 1]) == "5€ \ufffd a !"


def test_it_is_read_back_and_without_bert_the_file_is_as_before(tmp_path: Path) -> None:
    save(TOKENIZER, tmp_path / "tokenizer.json")
    assert load(tmp_path / "tokenizer.json") == TOKENIZER
    content = TOKENIZER.to_json()
    assert content.pop("bert") == {"unknown": 2, "first": 3, "last": 4}
    assert from_json(content).to_json() == WordPiece(PIECES).to_json() == content


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"unknown": 2, "first": 3}, "the key 'bert.last' is missing"),
        ({"unknown": 2, "first": 3, "last": 4, "mask": 5}, "unknown key 'bert.mask'"),
        ({"unknown": 1, "first": 3, "last": 4}, "bert.unknown is 1; it must be a whole number from 2 to 18"),
        ({"unknown": 2, "first": 3, "last": 19}, "bert.last is 19; it must be a whole number from 2 to 18"),
        ({"unknown": 2, "first": True, "last": 4}, "bert.first is True"),
        ([2, 3, 4], r"bert is \(2, 3, 4\); it must be an object"),
        ("BERT", "bert is 'BERT'; it must be an object"),
    ],
)
def test_a_wrong_bert_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(TOKENIZER.to_json() | {"bert": value})
