"""Transfer texts: what a teacher labels beside the training texts, so that a student sees where its answers change.

Made from the training texts alone by leaving words out, mixing two texts and misspelling words; they need not be good
sentences, because the teacher says what it thinks of each. Source: Tang et al. 2019, https://arxiv.org/abs/1903.12136
(word masking and n-gram sampling); mixing two texts of one class, and of any, is ours.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgewright.data.noise import typos
from edgewright.data.situations import Draw

Share = Annotated[float, Field(ge=0, le=1)]

MOST_WORDS = 64
LONGEST_PART = 4  # words that are taken from another text at once
LANGUAGE = "en"  # of the keyboard whose slips are made


@dataclass(frozen=True, config={"extra": "forbid"})
class Transfer:
    """How many texts are made and how: each way takes its share of them, what is left over splices two of one class."""

    count: Annotated[int, Field(ge=0)] = 60_000
    drop: Share = 0.25  # words left out
    insert: Share = 0.20  # a few words of any other text, put in the place of some
    substitute: Share = 0.15  # words exchanged for others
    rate: Share = 0.15  # of words that are left out or exchanged
    typos: Share = 0.05  # of long words, in every text that was made
    seed: int = 0

    def __post_init__(self) -> None:
        if self.drop + self.insert + self.substitute > 1:
            raise ValueError("drop, insert and substitute are shares of one whole: their sum must be at most 1")


def transfer_texts(texts: Sequence[str], labels: Sequence[int], how: Transfer) -> list[str]:
    """`how.count` texts, the same for the same training texts and settings.

    Args:
        labels: the class of each text.
    """
    draw = Draw(how.seed)
    known = [(tuple(text.split()), label) for text, label in zip(texts, labels, strict=True) if text.split()]
    split = [words for words, _ in known]
    alike: dict[int, list[int]] = defaultdict(list)
    for number, (_, label) in enumerate(known):
        alike[label].append(number)
    every = [word for words in split for word in words]
    made: list[str] = []
    while len(made) < how.count:
        number = draw.integer(0, len(split) - 1)
        words = list(split[number])
        way = draw.random()
        if way < how.drop:
            words = [word for word in words if not draw.chance(how.rate)]
        elif way < how.drop + how.insert:
            words = _inserted(words, split[draw.integer(0, len(split) - 1)], draw)
        elif way < how.drop + how.insert + how.substitute:
            words = [every[draw.integer(0, len(every) - 1)] if draw.chance(how.rate) else word for word in words]
        else:
            partners = alike[known[number][1]]
            other = split[partners[draw.integer(0, len(partners) - 1)]]
            words = words[: draw.integer(0, len(words))] + list(other[draw.integer(0, len(other)) :])
        if words:
            made.append(typos(" ".join(words[:MOST_WORDS]), draw, LANGUAGE, how.typos))
    return made


def _inserted(words: list[str], other: Sequence[str], draw: Draw) -> list[str]:
    """Up to four neighbouring words of `other` in the place of as many or fewer words."""
    start = draw.integer(0, len(other) - 1)
    part = list(other[start : start + draw.integer(1, LONGEST_PART)])
    at = draw.integer(0, len(words))
    return words[:at] + part + words[at + draw.integer(0, len(part)) :]
