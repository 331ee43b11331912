"""BIO tags: label lists, spans, entities of a text, and tags carried over from a data set's tokens to our words.

"B-DATE" begins an entity of type DATE, "I-DATE" goes on with it, "O" is outside of all.
Source of the readings: seqeval 1.2, https://github.com/chakki-works/seqeval (default and strict mode with IOB2).
Shapes: T words, C tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.data.rows import Row
from edgewright.errors import DataError

OUTSIDE = "O"


@dataclass(frozen=True, order=True)
class Span:
    """An entity as words: [start, end) are word positions."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Entity:
    """An entity as text: [start, end) are character positions of the original text, and `text` is what stands there.

    value: the normalised value of `data/values.py`, None where there is none. confidence: from 0 to 1, None where
    nobody computed it.
    """

    type: str
    text: str
    start: int
    end: int
    value: str | None = None
    confidence: float | None = None


def tag_labels(rows: Iterable[Row]) -> tuple[str, ...]:
    """("O", "B-DATE", "I-DATE", "B-EMAIL", …): both tags of every type that occurs, types in alphabetical order.

    Raises:
        DataError: a row has no tags, or one that is none of O, B-type and I-type (with the row's number, from 1).
    """
    types = set()
    for number, row in enumerate(rows, start=1):
        if row.tags is None:
            raise DataError(f"row {number}: the row has no tags; a tagger needs tokens and tags")
        for tag in row.tags:
            try:
                types.add(_parts(tag)[1])
            except ValueError as error:
                raise DataError(f"row {number}: {error}") from error
    return (OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(types - {""}) for prefix in "BI"))


def spans(tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities of one text, read leniently: an I- that continues nothing of its type begins an entity.

    This is what conlleval and seqeval's default count. A ValueError names a tag that is not BIO.
    """
    found = []
    start, current = 0, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = _parts(tag)
        if current and (prefix != "I" or kind != current):
            found.append(Span(current, start, position))
            current = ""
        if prefix != OUTSIDE and not current:
            start, current = position, kind
    return tuple(found)


def strict_spans(tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities of one text, read strictly (IOB2): one begins with B-, and an I- that continues nothing is none."""
    return tuple(span for span in spans(tags) if tags[span.start].startswith("B-"))


def entities(
    text: str,
    offsets: NDArray[np.int64],
    tags: Sequence[str],
    probabilities: NDArray[np.floating] | None = None,
) -> tuple[Entity, ...]:
    """The entities of a text, without values.

    Args:
        offsets: (T, 2) of `words_with_offsets`.
        tags: T tags; fewer, where the text was cut, leave the rest outside.
        probabilities: (T,) of the chosen tags; an entity's confidence is the lowest of its words.
    """
    found = []
    for span in spans(tags):
        start, end = int(offsets[span.start, 0]), int(offsets[span.end - 1, 1])
        sure = None if probabilities is None else float(np.min(probabilities[span.start : span.end]))
        found.append(Entity(span.type, text[start:end], start, end, confidence=sure))
    return tuple(found)


def token_offsets(text: str, tokens: Sequence[str], place: str = "the row") -> NDArray[np.int64]:
    """(T, 2) int64: [start, end) of a data set's tokens in its text, in which only white space may stand between them.

    Raises:
        DataError: a token is not there. `place` says where the row is ("train.jsonl.gz, line 3"); the message holds
            no text.
    """
    found = np.empty((len(tokens), 2), np.int64)
    position = 0
    for number, token in enumerate(tokens):
        while position < len(text) and text[position].isspace():
            position += 1
        if not token or not text.startswith(token, position):
            raise DataError(
                f"{place}: token {number + 1} of {len(tokens)} is not in the text at character {position}; "
                "the tokens must be the text's own, in its order, with white space alone between them"
            )
        found[number] = position, position + len(token)
        position += len(token)
    return found


def align(
    text: str, tokens: Sequence[str], tags: Sequence[str], offsets: NDArray[np.int64], place: str = "the row"
) -> tuple[str, ...]:
    """The data set's BIO tags, one a token, carried over to our words, one a word.

    Args:
        offsets: (T, 2) of `words_with_offsets`.
        place: for the message of an error.

    A word gets the entity that covers most of its characters, if that is at least half of them. Two tokens in one word
    ("10" and "pm") become one tag; an entity that starts in the middle of another's word can get lost.
    """
    found = token_offsets(text, tokens, place)
    if len(tags) != len(tokens):
        raise DataError(f"{place}: {len(tokens)} tokens but {len(tags)} tags; each token needs one tag")
    entities = [(span.type, int(found[span.start, 0]), int(found[span.end - 1, 1])) for span in spans(tags)]
    aligned = []
    before = -1  # the entity of the word before
    next_entity = 0  # all before it end before this word
    for start, end in offsets.tolist():
        while next_entity < len(entities) and entities[next_entity][2] <= start:
            next_entity += 1
        best, most = -1, 0
        for number in range(next_entity, len(entities)):
            _, first, last = entities[number]
            if first >= end:
                break
            covered = min(end, last) - max(start, first)
            if covered > most:
                best, most = number, covered
        if 2 * most < end - start:
            best = -1
        aligned.append("O" if best < 0 else f"{'I' if best == before else 'B'}-{entities[best][0]}")
        before = best
    return tuple(aligned)


def _parts(tag: str) -> tuple[str, str]:
    """("B", "DATE") of "B-DATE", ("O", "") of "O"."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    if prefix not in ("B", "I") or not dash or not kind:
        raise ValueError(f"the tag {tag[:40]!r} is none of O, B-type and I-type")
    return prefix, kind
