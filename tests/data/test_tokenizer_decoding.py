"""Golden vectors for decoding: ids as a model may write them, and the text that every implementation must give."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.characters import Characters
from edgewright.data.files import write_text
from edgewright.data.text import normalise
from edgewright.data.tokenizer import Writing, from_json
from edgewright.data.wordpiece import WordPiece

GOLDEN = Path(__file__).parents[1] / "golden"
SPECIALS = ("start", "end")


def byte_ids(encoded: bytes) -> list[int]:
    return [1 + byte for byte in encoded]


BYTE_BPE = ByteBPE(merges=((196, 170), (98, 99)), specials=SPECIALS)  # 257 is é, 258 is ab, 259 start, 260 end
CHARACTERS = Characters(vocabulary="ab é日\U0001f600", specials=SPECIALS)  # 2 to 7, 8 start, 9 end
WORDPIECE = WordPiece(vocabulary=("un", "##happy", "é", "!", "日"), specials=SPECIALS)  # 2 to 6, 7 start, 8 end

CASES: dict[str, tuple[Writing, dict[str, list[int]]]] = {
    "byte_bpe": (
        BYTE_BPE,
        {
            "nothing": [],
            "padding and specials alone": [0, 259, 260, 0],
            "a reply": [259, 258, 33, 257, 260, 0, 0],
            "a special inside a word": [98, 260, 99],
            "control characters": byte_ids(b"a\0\n\x7f"),
            "a character cut at its end": byte_ids("a🙂".encode()[:-1]),
            "a character cut at its start": byte_ids("🙂a".encode()[1:]),
            "padding inside a character": [*byte_ids(b"\xf0\x9f"), 0, *byte_ids(b"\x99\x82")],
            "a cut character before another": byte_ids(b"\xe6\x97" + "日".encode()),
            "bytes that begin nothing": byte_ids(b"\xc0\xaf\xff\xfe\x80"),
            "a surrogate in three bytes": byte_ids(b"\xed\xa0\x80a"),
            "beyond the last character": byte_ids(b"\xf4\x90\x80\x80a"),
        },
    ),
    "characters": (
        CHARACTERS,
        {
            "nothing": [],
            "padding and specials alone": [0, 8, 9, 0],
            "a reply": [8, 2, 3, 4, 6, 7, 5, 9, 0],
            "unknown": [1, 2, 1, 1],
        },
    ),
    "wordpiece": (
        WORDPIECE,
        {
            "nothing": [],
            "padding and specials alone": [0, 7, 8, 0],
            "words": [7, 2, 3, 5, 4, 6, 6, 8, 0],
            "a continuing piece first": [3, 2],
            "continuing pieces after a special": [2, 7, 3, 3],
            "unknown": [1, 2, 1, 3],
        },
    ),
}


def write_golden(path: Path, tokenizer: Writing, cases: dict[str, list[int]]) -> None:
    lines = [json.dumps({"name": name, "ids": ids, "decoded": tokenizer.decode(ids)}) for name, ids in cases.items()]
    header = json.dumps(tokenizer.to_json(), separators=(",", ":"))
    write_text(path, f'{{"tokenizer": {header},\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")


@pytest.mark.parametrize("kind", sorted(CASES))
def test_decoded_texts_are_the_golden_ones(kind: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / "decoding" / f"{kind}.json"
    if request.config.getoption("--update-golden"):
        write_golden(path, *CASES[kind])
    golden = json.loads(path.read_text(encoding="ascii"))
    tokenizer: Any = from_json(golden["tokenizer"])
    assert {case["name"]: case["ids"] for case in golden["cases"]} == CASES[kind][1]
    wrong = [case["name"] for case in golden["cases"] if tokenizer.decode(case["ids"]) != case["decoded"]]
    assert wrong == []


@pytest.mark.parametrize("kind", sorted(CASES))
def test_golden_ids_decode_as_the_specification_says(kind: str) -> None:
    golden = json.loads((GOLDEN / "tokenizers" / f"{kind}.json").read_text(encoding="ascii"))
    tokenizer: Any = from_json(golden["tokenizer"])
    for case in golden["cases"]:
        decoded = tokenizer.decode(case["ids"])
        if kind == "byte_bpe":
            assert decoded == case["normalised"], case["name"]
        elif kind == "characters":
            known = set(tokenizer.vocabulary)
            assert decoded == "".join(c if c in known else "\ufffd" for c in case["normalised"]), case["name"]
        else:  # the words, but not where the spaces were
            assert tokenizer.encode(decoded).tolist() == case["ids"], case["name"]
        assert normalise(decoded, tokenizer.normalisation) == decoded
