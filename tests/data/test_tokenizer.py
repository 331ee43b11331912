"""tokenizer.json: written, read, refused; windows, padding and batches of ids."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.data import byte_bpe, characters, wordpiece
from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.characters import Characters
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer import (
    KINDS,
    Tokenizer,
    Window,
    Writing,
    batch,
    from_json,
    load,
    pad,
    pieces,
    save,
    special_id,
    windows,
)
from edgewright.data.wordpiece import WordPiece
from edgewright.errors import DamagedFileError

TOKENIZERS: dict[str, Tokenizer] = {
    "hashed_ngrams": HashedNgrams(buckets=500, features=6, max_tokens=8, window=Window(4, 2)),
    "wordpiece": WordPiece(vocabulary=("a", "b", "##b", "##é", "\u2028"), max_tokens=8),
    "byte_bpe": ByteBPE(merges=((98, 99), (257, 257)), max_tokens=8),
    "characters": Characters(vocabulary="ab é\u2028日", max_tokens=8),
}
WRITING = ("byte_bpe", "characters", "wordpiece")


@pytest.fixture(params=sorted(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]


def test_a_saved_tokenizer_is_read_back_equal(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    save(tokenizer, path)
    assert load(path) == tokenizer
    assert load(path).to_json() == json.loads(path.read_bytes()) == tokenizer.to_json()


def test_saving_twice_writes_the_same_bytes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save(tokenizer, tmp_path / "one.json")
    save(load(tmp_path / "one.json"), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_an_empty_text_has_no_tokens(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("")
    assert ids.shape == ((0,) if tokenizer.features is None else (0, tokenizer.features))
    assert ids.dtype == np.int32
    assert pad(ids, 3).shape[:2] == (1, 3) and not pad(ids, 3).any()


def test_all_ids_are_rows_of_the_embedding_table(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("ab abab é \u2028 日本 \ud800 \0" + "".join(map(chr, range(0x300))))
    assert ids.min() >= 0 and ids.max() < tokenizer.vocab_size
    assert ids.dtype == np.int32


def test_no_token_is_padding(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("ab abab é \u2028 日本 \ud800 \0")
    assert (ids if ids.ndim == 1 else ids[:, 0]).all()  # a row's first id is its word


@pytest.mark.parametrize("limit", [0, 1, 5, 100, 10**6])
def test_a_limit_gives_exactly_the_first_tokens(tokenizer: Tokenizer, limit: int) -> None:
    for text in ("", "ab abab é 日本. " * 40, "b" * 5000, "\u0301" * 5000 + "ab", " " * 5000 + "ab", "\0" * 5000):
        assert np.array_equal(tokenizer.encode(text, limit=limit), tokenizer.encode(text)[:limit])


def test_a_text_is_cut_at_max_tokens_without_a_window(tokenizer: Tokenizer) -> None:
    cut = from_json({**tokenizer.to_json(), "window": None})
    (ids,) = pieces(cut, "ab " * 100)
    assert np.array_equal(ids, cut.encode("ab " * 100)[: cut.max_tokens])


def test_a_window_gives_all_tokens_of_a_long_text() -> None:
    tokenizer = replace(HashedNgrams(max_tokens=8), window=Window(length=4, stride=2))
    text = "one two three four five six seven"
    found = pieces(tokenizer, text)
    assert [len(ids) for ids in found] == [4, 4, 3]
    assert np.array_equal(found[1], tokenizer.encode(text)[2:6])


@pytest.mark.parametrize(
    ("tokens", "length", "stride", "expected"),
    [
        (0, 4, 2, [[]]),
        (1, 4, 2, [[0]]),
        (4, 4, 2, [[0, 1, 2, 3]]),
        (5, 4, 2, [[0, 1, 2, 3], [2, 3, 4]]),
        (6, 4, 2, [[0, 1, 2, 3], [2, 3, 4, 5]]),
        (7, 4, 2, [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6]]),
        (5, 2, 2, [[0, 1], [2, 3], [4]]),
        (3, 1, 1, [[0], [1], [2]]),
    ],
)
def test_windows_of(tokens: int, length: int, stride: int, expected: list[list[int]]) -> None:
    ids = np.arange(tokens, dtype=np.int32)
    assert [window.tolist() for window in windows(ids, length, stride)] == expected


@pytest.mark.parametrize("stride", [0, -1, 5])
def test_a_stride_that_skips_tokens_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match=rf"stride is {stride}; it must be from 1 to max_tokens \(4\)"):
        windows(np.zeros(3, np.int32), 4, stride)


def test_padding_fills_with_zeros_and_cuts() -> None:
    ids = np.array([[1, 2], [3, 4]], np.int32)
    assert pad(ids, 3).tolist() == [[[1, 2], [3, 4], [0, 0]]]
    assert pad(ids, 1).tolist() == [[[1, 2]]]
    assert pad(ids[:, 0], 3).tolist() == [[1, 3, 0]]
    assert pad(ids, 3).dtype == np.int32


def test_a_batch_is_its_padded_texts(tokenizer: Tokenizer) -> None:
    texts_ids = [tokenizer.encode(text) for text in ("ab", "", "b b b b b b")]
    expected = np.concatenate([pad(ids, 4) for ids in texts_ids])
    assert np.array_equal(batch(texts_ids, 4), expected)
    assert batch(texts_ids, 4).dtype == np.int32


def test_reading_a_tokenizer_imports_neither_torch_nor_the_training_library() -> None:
    code = "import sys, edgewright.data.tokenizer; print({'torch', 'tokenizers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- specials and decoding: what generation needs


def writing(kind: str, specials: tuple[str, ...] = ()) -> Any:
    return from_json({**TOKENIZERS[kind].to_json(), "specials": list(specials)})


@pytest.mark.parametrize("kind", WRITING)
def test_specials_are_the_last_ids_and_no_text_gives_one(kind: str) -> None:
    plain, tokenizer = TOKENIZERS[kind], writing(kind, ("start", "end"))
    assert tokenizer.vocab_size == plain.vocab_size + 2
    assert [special_id(tokenizer, name) for name in ("start", "end")] == [plain.vocab_size, plain.vocab_size + 1]
    text = "ab start <start> [START] end \0 \ud800 日本" + "".join(map(chr, range(0x300)))
    assert np.array_equal(tokenizer.encode(text), plain.encode(text))


@pytest.mark.parametrize("kind", WRITING)
def test_padding_and_specials_decode_to_nothing(kind: str) -> None:
    tokenizer: Writing = writing(kind, ("start", "end"))
    start, end = special_id(tokenizer, "start"), special_id(tokenizer, "end")
    ids = tokenizer.encode("ab a b").tolist()
    assert tokenizer.decode([start, *ids, end, 0, 0]) == tokenizer.decode(ids) == "ab a b"


@pytest.mark.parametrize("kind", WRITING)
@pytest.mark.parametrize("index", [-1, "vocab_size"])
def test_an_id_that_the_tokenizer_does_not_have_is_refused(kind: str, index: Any) -> None:
    tokenizer = writing(kind, ("end",))
    index = tokenizer.vocab_size if index == "vocab_size" else index
    with pytest.raises(ValueError, match=f"the id {index} is not one of 0 to {tokenizer.vocab_size - 1}"):
        tokenizer.decode([1, index])


@pytest.mark.parametrize("kind", WRITING)
def test_without_specials_the_file_does_not_name_them(kind: str) -> None:
    assert "specials" not in TOKENIZERS[kind].to_json()
    assert writing(kind) == TOKENIZERS[kind]
    with_them = writing(kind, ("end",))
    assert from_json(with_them.to_json()) == with_them and with_them.to_json()["specials"] == ["end"]


def test_a_special_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no special 'begin'; it has start, end"):
        special_id(writing("byte_bpe", ("start", "end")), "begin")
    with pytest.raises(ValueError, match="no special 'end'; it has none"):
        special_id(writing("byte_bpe"), "end")


@pytest.mark.parametrize("train", [byte_bpe.train, characters.train, wordpiece.train])
def test_specials_are_within_the_trained_vocabulary(train: Any) -> None:
    texts = ["some words and other words", "more words again"] * 9
    for vocab_size in (20, 265):
        if train is byte_bpe.train and vocab_size < 257:
            continue
        tokenizer = train(texts, vocab_size, specials=("start", "end"))
        assert tokenizer.vocab_size <= vocab_size
        assert special_id(tokenizer, "end") == tokenizer.vocab_size - 1
        assert tokenizer.encode("start end").max() < tokenizer.vocab_size - 2


# --- what a damaged or foreign tokenizer.json is answered with


def refused(content: Any, tmp_path: Path) -> str:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DamagedFileError) as raised:
        load(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < len(str(path)) + 250
    return message


def changed(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {**TOKENIZERS[kind].to_json(), **fields}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the file holds no JSON object"),
        ({}, "the key 'spec' is missing"),
        ({"spec": 1}, "the key 'kind' is missing"),
        (changed("wordpiece", spec=2), "specification 2 is newer than 1"),
        (changed("wordpiece", spec=True), "spec must be a whole number"),
        (changed("wordpiece", kind="wordpeice"), "unknown kind 'wordpeice'; did you mean 'wordpiece'?"),
        (changed("wordpiece", kind=7), "unknown kind 7; known: byte_bpe, characters, hashed_ngrams, wordpiece"),
        (changed("wordpiece", kind=["wordpiece"]), "unknown kind"),
        (changed("wordpiece", vocabulry=[]), "unknown key 'vocabulry'; did you mean 'vocabulary'?"),
        (changed("wordpiece", **{"a\nb": 1}), r"unknown key 'a\nb'"),
        (changed("wordpiece", _ids={}), "unknown key '_ids'"),
        (changed("wordpiece", max_tokens=0), "max_tokens is 0; it must be a whole number from 1"),
        (changed("wordpiece", max_tokens=8.0), "max_tokens is 8.0; it must be a whole number"),
        (changed("wordpiece", max_tokens=True), "max_tokens is True; it must be a whole number"),
        (changed("wordpiece", normalisation=None), "normalisation is None; it must be an object"),
        (changed("wordpiece", normalisation={}), "the key 'normalisation.clean' is missing"),
        (changed("wordpiece", normalisation="x" * 10**5), "normalisation is 'xxx"),
        (
            changed("wordpiece", normalisation={"clean": True, "lowercase": 1, "strip_marks": True}),
            "normalisation.lowercase is 1; it must be true or false",
        ),
        (
            changed("hashed_ngrams", normalisation={"clean": False, "lowercase": True, "strip_marks": True}),
            "normalisation.clean is false; kind 'hashed_ngrams' needs it true",
        ),
        (changed("wordpiece", window=[]), "window is (); it must be an object"),
        (changed("wordpiece", window={"length": 4, "stride": 5}), "window.stride is 5; it must be a whole number"),
        (changed("wordpiece", window={"length": 9, "stride": 5}), "window.length is 9; it must be at most max_tokens"),
        (changed("wordpiece", window={"length": 4, "step": 1}), "unknown key 'window.step'"),
        (changed("wordpiece", vocabulary="abc"), "vocabulary must be an array of strings"),
        (changed("wordpiece", vocabulary=["a", 1]), "vocabulary must be an array of strings"),
        (changed("wordpiece", vocabulary=["a", "b", "a"]), "vocabulary holds 'a' twice"),
        (changed("wordpiece", vocabulary=["a", ""]), "vocabulary holds an empty piece"),
        (changed("wordpiece", vocabulary=["a", "##"]), "vocabulary holds an empty piece"),
        (changed("wordpiece", vocabulary=["a\ud800"]), "vocabulary holds a lone surrogate"),
        (changed("hashed_ngrams", buckets=0), "buckets is 0; it must be a whole number from 1"),
        (changed("hashed_ngrams", buckets=2**31), "buckets is 2147483648; it must be"),
        (changed("hashed_ngrams", features=1), "features is 1; it must be a whole number from 2 to 256"),
        (changed("hashed_ngrams", characters=65), "characters is 65; it must be a whole number from 0 to 64"),
        (changed("hashed_ngrams", ngrams=3), "ngrams must be an array of lengths"),
        (changed("hashed_ngrams", ngrams=[3, "4"]), "ngrams is '4'; it must be a whole number"),
        (changed("hashed_ngrams", ngrams=[4, 3]), "ngrams is [4, 3]; the lengths must be ascending"),
        (changed("characters", vocabulary=["a"]), "vocabulary must be a string"),
        (changed("characters", vocabulary="aba"), "vocabulary holds 'a' twice"),
        (changed("characters", vocabulary="a\udc00"), "vocabulary holds a lone surrogate"),
        (changed("characters", specials="start"), "specials must be an array of names"),
        (changed("characters", specials=["start", 1]), "specials must be an array of names"),
        (changed("wordpiece", specials=["<start>"]), "specials holds '<start>'; a name is 1 to 32 of a-z, 0-9 and _"),
        (changed("byte_bpe", specials=["end", "start", "end"]), "specials holds 'end' twice"),
        (changed("byte_bpe", specials=[f"s{i}" for i in range(257)]), "the number of specials is 257"),
        (changed("hashed_ngrams", specials=["start"]), "unknown key 'specials'"),
        (changed("byte_bpe", merges={}), "merges must be an array of pairs"),
        (changed("byte_bpe", merges=[[98, 99, 100]]), "merges[0] must be a pair of ids"),
        (changed("byte_bpe", merges=[98]), "merges[0] must be a pair of ids"),
        (changed("byte_bpe", merges=[[98, 257]]), "merges[0] is 257; it must be a whole number from 1 to 256"),
        (changed("byte_bpe", merges=[[0, 98]]), "merges[0] is 0; it must be a whole number from 1 to 256"),
        (changed("byte_bpe", merges=[[98, 99], [98, 99]]), "merges[1] makes the same bytes as an earlier id"),
        (
            changed("byte_bpe", merges=[[98, 99], [99, 100], [257, 100], [98, 258]]),
            "merges[3] makes the same bytes as an earlier id",
        ),
        (changed("byte_bpe", merges=[[98, 98], *([i, i] for i in range(257, 300))]), "merges[8] makes 512 bytes"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_the_reason(content: Any, message: str, tmp_path: Path) -> None:
    assert message in refused(content, tmp_path)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_key_is_needed(kind: str, tmp_path: Path) -> None:
    whole = TOKENIZERS[kind].to_json()
    for key in whole:
        message = refused({name: value for name, value in whole.items() if name != key}, tmp_path)
        assert f"the key '{key}' is missing" in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"spec": ' + b"9" * 5000 + b"}",
        b'{"spec": 1, "kind": "byte_bpe", "max_tokens": NaN}',
    ],
    ids=["empty", "cut", "not UTF-8", "nested", "long number", "not a number"],
)
def test_a_file_that_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"tokenizer\.json: "):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="no such file"):
        load(tmp_path / "tokenizer.json")


def test_a_wrong_argument_in_code_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="buckets is 0"):
        HashedNgrams(buckets=0)
    with pytest.raises(ValueError, match=r"normalisation\.clean is false"):
        WordPiece(vocabulary=(), normalisation=Normalisation(clean=False))


def test_from_json_takes_what_to_json_gives(tokenizer: Tokenizer) -> None:
    assert from_json(tokenizer.to_json()) == tokenizer
