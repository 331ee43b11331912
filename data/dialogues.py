"""Pairs for generation: a message, what was said before it, and the reply.

The sets are split at their origin or by clusters of near-duplicates: no message stands in two splits. In dialogue_sgd
171 of 2,842 test messages have a near-duplicate (see leaks.py) in another split, such as two ways of saying yes; with
their context it is 25, with context and reply 1. In qa_factoid_en it is one question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.data import sources
from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import DataError

SEPARATOR = " | "  # between two turns; a turn that holds it is not split there, for nobody reads the turns back


@dataclass(frozen=True)
class Pair:
    message: str
    response: str
    context: tuple[str, ...] = ()  # turns before the message, the oldest first
    language: str | None = None


def pairs(source: sources.Source, split: str) -> list[Pair]:
    """The pairs of one split, in their order; those with an empty message or response are left out.

    Of a set of questions, the message is the question, the response its first answer, and the context the paragraph
    that holds the answer, where there is one.

    Raises:
        UsageError: the set has no such split.
        DataError: the set has no responses; no copy is here, a file differs from the declared one, or a row is wrong.
    """
    if source.kind != "generation" or any(file.file.endswith(".txt.gz") for file in source.splits.values()):
        raise DataError(f"{source.name} has no pairs of a message and a response; use a set such as dialogue_sgd")
    return [
        Pair(row.text, row.response, row.context or (), row.language)
        for row in sources.rows(source, split)
        if row.response is not None and row.text.strip() and row.response.strip()
    ]


def with_context(message: str, context: str | Sequence[str] | None = None) -> str:
    """The text that a model reads: the turns before the message, the oldest first, and the message, " | " between two.

    Blank turns are left out, and spaces around a turn. A single string is one turn.
    """
    turns = [context] if isinstance(context, str) else list(context or ())
    return SEPARATOR.join([*(turn.strip() for turn in turns if turn.strip()), message.strip()])


def prompt_ids(
    tokenizer: Tokenizer, message: str, context: str | Sequence[str] | None, length: int
) -> NDArray[np.int32]:
    """(T,) int32, T ≤ `length`: the ids of the message with its context, cut from the left.

    The message is what the reply must answer, so the oldest words go first. Of a message that is longer than `length`
    alone, its last ids stay.
    """
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1")
    return tokenizer.encode(with_context(message, context))[-length:]
