from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from edgewright.data import sources
from edgewright.data.catalogue import Source, SplitFile
from edgewright.data.characters import Characters
from edgewright.data.dialogues import Pair, pairs, prompt_ids, with_context
from edgewright.data.files import sha256
from edgewright.data.rows import write_rows
from edgewright.errors import DataError


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[dict[str, Any]]) -> Source:
    path = tmp_path / "talk" / "test.jsonl.gz"
    write_rows(path, records)
    monkeypatch.setenv("EDGEWRIGHT_DATA", str(tmp_path))
    splits = MappingProxyType({"test": SplitFile("test.jsonl.gz", sha256(path))})
    return replace(sources.find("dialogue_sgd"), name="talk", splits=splits)


def test_each_form_of_a_row_becomes_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[dict[str, Any]] = [
        {"text": "a", "response": "b", "context": ["x", "y"], "lang": "en"},
        {"text": "a", "response": "b"},
        {"question": "who?", "answers": ["me", "you"], "lang": "fr"},
        {"question": "where?", "answers": ["here"], "context": "it is here"},
        {"text": "", "response": "b"},
        {"text": "a", "response": " "},
    ]
    assert pairs(made(tmp_path, monkeypatch, records), "test") == [
        Pair("a", "b", ("x", "y"), "en"),
        Pair("a", "b"),
        Pair("who?", "me", (), "fr"),
        Pair("where?", "here", ("it is here",)),
    ]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "a"}, "line 1: the row has no 'response'"),
        ({"question": "a", "answers": []}, "line 1: 'answers' is empty"),
        ({"question": "a", "answers": "b"}, "line 1: 'answers' is not a list of strings"),
        ({"text": "a", "response": "b", "context": [1]}, "line 1: 'context' is not a list of strings"),
        ({"text": "a", "response": "b", "context": {}}, "line 1: 'context' is not a list of strings"),
        ({"answers": ["b"]}, "line 1: the row has no 'text'"),
    ],
)
def test_a_wrong_row_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        pairs(made(tmp_path, monkeypatch, [record]), "test")


@pytest.mark.parametrize("name", ["lm_en", "intent_clinc150"])
def test_a_set_without_responses_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} has no pairs"):
        pairs(sources.find(name), "train")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (None, "now"),
        ("", "now"),
        ([], "now"),
        ("before", "before | now"),
        (["first ", " ", " second"], "first | second | now"),
        (("a | b", "c"), "a | b | c | now"),
    ],
)
def test_context_stands_before_the_message(context: Any, expected: str) -> None:
    assert with_context(" now", context) == expected


def test_a_long_prompt_loses_its_oldest_part() -> None:
    tokenizer = Characters("abcdefnow| ")
    whole = tokenizer.encode("abc | def | now").tolist()
    for length in range(1, 20):
        ids = prompt_ids(tokenizer, "now", ["abc", "def"], length)
        assert ids.tolist() == whole[-length:]
        assert tokenizer.decode(ids).endswith("now"[-length:])
    with pytest.raises(ValueError, match="length is 0"):
        prompt_ids(tokenizer, "now", None, 0)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("dialogue_sgd", (17736, 4509, 2842)),
        ("dialogue_chatterbot_fr_en", (712, 90, 94)),
        ("qa_factoid_en", (7810, 1138, 1121)),
        ("qa_extractive_fr_en", (6130, 1043, 626)),
    ],
)
def test_the_real_pairs(name: str, counts: tuple[int, int, int], real_data: Path) -> None:
    source = sources.find(name)
    found = {split: pairs(source, split) for split in ("train", "validation", "test")}
    assert tuple(map(len, found.values())) == counts
    turns = {split: {(pair.message, pair.context, pair.response) for pair in found[split]} for split in found}
    assert not turns["train"] & turns["test"] and not turns["validation"] & turns["test"]
    if name == "dialogue_sgd":
        assert max(len(pair.context) for pair in found["train"]) == 2
    if name == "qa_extractive_fr_en":
        assert all(pair.response in pair.context[0] for pair in found["test"])
