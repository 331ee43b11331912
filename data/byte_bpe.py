"""Byte-level byte-pair encoding: no text is unknown, and the ids give the text back.

Source: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, over bytes as in GPT-2 (Radford et al. 2019). The merges
are trained by the `tokenizers` library on pre-tokens that our own classes made; encoding is ours.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgewright.data.text import UNCHANGED, Normalisation, class_letters, normalise
from edgewright.data.tokenizer_fields import (
    Window,
    check_integer,
    check_shared,
    check_specials,
    look_up,
    shared_json,
    specials_json,
)

PADDING = 0
FIRST_BYTE = 1  # the id of byte 0
FIRST_MERGE = 257  # the id of what merges[0] makes
MOST_RUN = 64  # characters of a pre-token, so that the cost of a text is linear
LONGEST_PRETOKEN = MOST_RUN + 1  # a space may stand before the run
LONGEST_TOKEN_BYTES = 4 * LONGEST_PRETOKEN
MOST_MERGES = 1 << 20

# Over class letters (" " is U+0020 itself, "s" any other space): one space and a run of word characters, or of other
# visible or control characters; else a run of spaces, which leaves its last one to a pre-token that follows.
PRETOKEN = re.compile(rf" ?[wi]{{1,{MOST_RUN}}}| ?[pyc]{{1,{MOST_RUN}}}|[ s]{{1,{MOST_RUN}}}(?![wipyc])|[ s]")


@dataclass(frozen=True)
class ByteBPE:
    """Ids: 0 padding, 1 to 256 the bytes, 257 and up what each merge makes of two lower ids, then the specials."""

    kind: ClassVar[str] = "byte_bpe"
    features: ClassVar[None] = None

    merges: tuple[tuple[int, int], ...]  # the first has precedence
    normalisation: Normalisation = UNCHANGED
    max_tokens: int = 128
    window: Window | None = None
    specials: tuple[str, ...] = ()  # names of the last ids, which no text gives

    def __post_init__(self) -> None:
        check_shared(self)
        check_specials(self.specials)
        if not isinstance(self.merges, tuple):
            raise ValueError("merges must be an array of pairs of ids")
        check_integer("the number of merges", len(self.merges), 0, MOST_MERGES)
        _tokens(self.merges)

    @property
    def vocab_size(self) -> int:
        return FIRST_MERGE + len(self.merges) + len(self.specials)

    def encode(self, text: str, limit: int | None = None) -> NDArray[np.int32]:
        """(T,) int32; with `limit`, the first `limit` ids of it, without merging the rest."""
        text = normalise(text, self.normalisation)
        ids: list[int] = []
        known: dict[str, list[int]] = {}  # words come again in a long text
        for pretoken in pretokens(text, limit):
            merged = known.get(pretoken)
            if merged is None:
                merged = known[pretoken] = self._merge(pretoken.encode())
            ids += merged
            if limit is not None and len(ids) >= limit:
                break
        return np.array(ids[:limit], dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, without padding and specials; bytes that are not UTF-8 (a cut character) become U+FFFD.

        Raises:
            ValueError: an id is not below `vocab_size`.
        """
        return b"".join(look_up(ids, self._bytes)).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        merges = [list(pair) for pair in self.merges]
        return {**shared_json(self), **specials_json(self.specials), "merges": merges}

    def _merge(self, encoded: bytes) -> list[int]:
        ids = [byte + FIRST_BYTE for byte in encoded]
        made = self._made
        while len(ids) > 1:
            # ids of merges ascend with their rank, so the lowest id is the merge that has precedence
            best = min((made[pair] for pair in pairwise(ids) if pair in made), default=None)
            if best is None:
                break
            # Replacing every occurrence at once, from the left, is the same as one by one: a pair that a
            # replacement creates holds `best`, so its own merge comes later.
            left, right = self.merges[best - FIRST_MERGE]
            position = 0
            merged = []
            while position < len(ids):
                if ids[position] == left and position + 1 < len(ids) and ids[position + 1] == right:
                    merged.append(best)
                    position += 2
                else:
                    merged.append(ids[position])
                    position += 1
            ids = merged
        return ids

    @cached_property
    def _made(self) -> dict[tuple[int, int], int]:
        return {pair: index for index, pair in enumerate(self.merges, FIRST_MERGE)}

    @cached_property
    def _bytes(self) -> list[bytes]:
        return [*_tokens(self.merges), *(b"" for _ in self.specials)]


def pretokens(text: str, limit: int | None = None) -> Iterator[str]:
    """Parts of a text that are encoded apart; together they are the text. With `limit`, at least the first `limit`."""
    # each pre-token has at most LONGEST_PRETOKEN characters, and looks at most one further
    letters = class_letters(text if limit is None else text[: (limit + 1) * LONGEST_PRETOKEN])
    for match in PRETOKEN.finditer(letters):
        yield text[match.start() : match.end()]


def train(
    texts: Iterable[str],
    vocab_size: int = 8_000,
    min_frequency: int = 2,
    normalisation: Normalisation = UNCHANGED,
    max_tokens: int = 128,
    window: Window | None = None,
    specials: tuple[str, ...] = (),
) -> ByteBPE:
    """A tokenizer with at most `vocab_size` ids, padding and specials among them; the same texts give the same one.

    `min_frequency` is how often two tokens must meet to become one.
    """
    # only training needs the library: a phone or a server predicts without it
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    check_specials(specials)
    check_integer("vocab_size", vocab_size, FIRST_MERGE + len(specials), MOST_MERGES)
    lines = (
        " ".join(_shown(pretoken.encode()) for pretoken in pretokens(normalise(text, normalisation))) for text in texts
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1 - len(specials),  # padding and specials are ours
        min_frequency=min_frequency,
        initial_alphabet=[_shown(bytes([byte])) for byte in range(256)],
        special_tokens=[],
        show_progress=False,
    )
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Split(" ", "removed")  # the pre-tokens are ours
    library.train_from_iterator(lines, trainer)
    found = json.loads(library.to_str())["model"]["merges"]
    return ByteBPE(_numbered(found), normalisation, max_tokens, window, specials)


def _tokens(merges: tuple[tuple[int, int], ...]) -> list[bytes]:
    """The bytes of each id; a ValueError where a merge cannot be."""
    tokens = [b"", *(bytes([byte]) for byte in range(256))]
    made = set(tokens)
    for rank, pair in enumerate(merges):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(f"merges[{rank}] must be a pair of ids")
        for part in pair:
            check_integer(f"merges[{rank}]", part, FIRST_BYTE, FIRST_MERGE + rank - 1)
        token = tokens[pair[0]] + tokens[pair[1]]
        if len(token) > LONGEST_TOKEN_BYTES:
            raise ValueError(f"merges[{rank}] makes {len(token)} bytes; at most {LONGEST_TOKEN_BYTES} can occur")
        if token in made:
            raise ValueError(f"merges[{rank}] makes the same bytes as an earlier id")
        made.add(token)
        tokens.append(token)
    return tokens


def _shown(encoded: bytes) -> str:
    """Bytes as the library sees them in training: characters from U+0100 on, so that a space can separate."""
    return "".join(chr(0x100 + byte) for byte in encoded)


def _numbered(merges: list[list[str]]) -> tuple[tuple[int, int], ...]:
    """The library's merges by id; the few that make what an earlier one makes already are left out."""
    ids = {_shown(bytes([byte])): FIRST_BYTE + byte for byte in range(256)}
    numbered: list[tuple[int, int]] = []
    for left, right in merges:
        if left + right not in ids:
            ids[left + right] = FIRST_MERGE + len(numbered)
            numbered.append((ids[left], ids[right]))
    return tuple(numbered)
