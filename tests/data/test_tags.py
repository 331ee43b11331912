"""Tags, spans and entities, and tags carried over from a data set's tokens."""

from pathlib import Path

import numpy as np
import pytest

from edgewright.data.rows import Row, read_rows
from edgewright.data.tags import Entity, Span, align, entities, spans, strict_spans, tag_labels, token_offsets
from edgewright.data.words import words_with_offsets
from edgewright.errors import DataError


def row(*tags: str) -> Row:
    return Row("x", tokens=("x",) * len(tags), tags=tags)


def test_labels_hold_both_tags_of_every_type_in_alphabetical_order() -> None:
    rows = [row("O", "B-TIME"), row("I-DATE"), row("O", "B-MONEY", "I-MONEY")]
    assert tag_labels(rows) == ("O", "B-DATE", "I-DATE", "B-MONEY", "I-MONEY", "B-TIME", "I-TIME")
    assert tag_labels(reversed(rows)) == tag_labels(rows)
    assert tag_labels([row("O")]) == ("O",)


@pytest.mark.parametrize("tag", ["S-DATE", "B", "B-", "DATE", "", "b-DATE", "o"])
def test_another_tag_is_named_with_its_row(tag: str) -> None:
    with pytest.raises(DataError, match=r"^row 2: the tag '.*' is none of O, B-type and I-type$"):
        tag_labels([row("O"), row("O", tag)])


def test_a_row_without_tags_is_named() -> None:
    with pytest.raises(DataError, match="row 1: the row has no tags"):
        tag_labels([Row("x", label="a")])


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        ("", [], []),
        ("O O", [], []),
        # the example of seqeval's get_entities
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)], [("PER", 0, 2), ("LOC", 3, 4)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)], [("A", 0, 1), ("A", 1, 3)]),
        ("I-A I-A O I-B", [("A", 0, 2), ("B", 3, 4)], []),
        ("B-A I-B I-B I-A", [("A", 0, 1), ("B", 1, 3), ("A", 3, 4)], [("A", 0, 1)]),
        ("B-A O I-A", [("A", 0, 1), ("A", 2, 3)], [("A", 0, 1)]),
        ("B-A-B I-A-B", [("A-B", 0, 2)], [("A-B", 0, 2)]),
    ],
)
def test_spans(tags: str, lenient: list[tuple[str, int, int]], strict: list[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == tuple(Span(*span) for span in lenient)
    assert strict_spans(tags.split()) == tuple(Span(*span) for span in strict)


def test_entities_are_parts_of_the_original_text() -> None:
    text = "Call Zoe\u0301 Durand tomorrow!"
    _, offsets = words_with_offsets(text)
    found = entities(text, offsets, ["O", "B-PERSON", "I-PERSON", "B-DATE", "O"], np.array([1, 0.9, 0.6, 0.8, 1]))
    assert found == (
        Entity("PERSON", "Zoe\u0301 Durand", 5, 16, confidence=0.6),
        Entity("DATE", "tomorrow", 17, 25, confidence=0.8),
    )
    assert entities(text, offsets, ["O", "B-PERSON"]) == (Entity("PERSON", "Zoe\u0301", 5, 9),)


@pytest.mark.parametrize(
    ("text", "tokens", "tags", "aligned"),
    [
        ("at 10pm.", "at 10 pm .", "O B-TIME I-TIME O", "O B-TIME O"),
        ("$5 today's", "$ 5 today's", "B-MONEY I-MONEY B-DATE", "B-MONEY I-MONEY B-DATE I-DATE I-DATE"),
        ("5pm Friday", "5pm Friday", "B-TIME B-TIME", "B-TIME B-TIME"),
        ("Zoé D.", "Zoé D.", "I-PER I-PER", "B-PER I-PER I-PER"),
        ("a🙂b", "a 🙂 b", "O B-X O", "O B-X O"),
        ("abcdef", "abcd ef", "O B-X", "O"),  # most of the word is outside
        ("abcdef", "ab cdef", "B-X B-Y", "B-Y"),
        ("", "", "", ""),
    ],
)
def test_tags_are_carried_over_to_words(text: str, tokens: str, tags: str, aligned: str) -> None:
    offsets = words_with_offsets(text)[1]
    assert align(text, tokens.split(), tags.split(), offsets) == tuple(aligned.split())


@pytest.mark.parametrize("tokens", [["the", "end"], ["an", "end", "more"], ["end"], ["an", ""], ["an", "n", "end"]])
def test_a_token_that_is_not_there_is_named_without_any_text(tokens: list[str]) -> None:
    with pytest.raises(DataError, match=r"^train\.jsonl\.gz, line 7: token \d of \d is not in the text") as error:
        token_offsets("an end", tokens, "train.jsonl.gz, line 7")
    assert "end" not in str(error.value).replace("the text's own", "").partition("; ")[0]


def test_as_many_tags_as_tokens() -> None:
    with pytest.raises(DataError, match="row 3: 2 tokens but 1 tags"):
        align("a b", ["a", "b"], ["O"], words_with_offsets("a b")[1], "row 3")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_real_spans_survive_exactly(real_data: Path, split: str) -> None:
    path = real_data / "entities_en" / f"{split}.jsonl.gz"
    all_spans = same = 0
    for number, row in enumerate(read_rows(path, kind="tags"), start=1):
        assert row.tokens is not None and row.tags is not None
        offsets = words_with_offsets(row.text)[1]
        aligned = align(row.text, row.tokens, row.tags, offsets, f"{path.name}, line {number}")
        tokens = token_offsets(row.text, row.tokens)
        gold = {(one.type, tokens[one.start, 0], tokens[one.end - 1, 1]) for one in spans(row.tags)}
        kept = {(one.type, one.start, one.end) for one in entities(row.text, offsets, aligned)}
        all_spans += len(gold)
        same += len(gold & kept)
    assert same >= 0.999 * all_spans > 3000
