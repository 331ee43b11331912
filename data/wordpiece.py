"""WordPiece: each word is cut, greedily from the left, into the longest pieces that the vocabulary has.

Source: Devlin et al. 2018, https://arxiv.org/abs/1810.04805 (BERT). A piece inside a word is written with "##".
The vocabulary is trained by the `tokenizers` library on words that our own normalisation and splitting made; encoding
is ours, so that no other library's Unicode tables decide an id. A vocabulary of BERT's own is read with `bert`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgewright.data.bert import words as bert_words
from edgewright.data.text import DEFAULT, REPLACEMENT, Normalisation, words
from edgewright.data.tokenizer_fields import (
    Bert,
    Window,
    check_clean,
    check_integer,
    check_shared,
    check_specials,
    look_up,
    shared_json,
    short,
    specials_json,
)

PADDING, UNKNOWN = 0, 1
FIRST_PIECE = 2  # the id of vocabulary[0]
CONTINUES = "##"
MOST_WORD_CHARACTERS = 64  # a longer word is unknown, so that the cost of a text is linear
MOST_BERT_WORD_CHARACTERS = 100  # the same in BERT
MOST_ALPHABET = 1000  # training: words with a rarer character than the 1,000 commonest are left out
MOST_PIECES = 1 << 20


@dataclass(frozen=True)
class WordPiece:
    """One id a piece; a word that cannot be cut into known pieces is one `UNKNOWN`."""

    kind: ClassVar[str] = "wordpiece"
    features: ClassVar[None] = None

    vocabulary: tuple[str, ...]  # vocabulary[i] has the id i + 2
    normalisation: Normalisation = DEFAULT
    max_tokens: int = 64
    window: Window | None = None
    specials: tuple[str, ...] = ()  # names of the last ids, which no text gives
    bert: Bert | None = None  # BERT's words, its unknown, and its ids around each text

    def __post_init__(self) -> None:
        check_shared(self)
        check_clean(self)
        check_specials(self.specials)
        if not isinstance(self.vocabulary, tuple) or not all(type(piece) is str for piece in self.vocabulary):
            raise ValueError("vocabulary must be an array of strings")
        check_integer("the number of pieces in vocabulary", len(self.vocabulary), 0, MOST_PIECES)
        if any(piece in ("", CONTINUES) for piece in self.vocabulary):
            raise ValueError("vocabulary holds an empty piece")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in set("".join(self.vocabulary))):
            raise ValueError("vocabulary holds a lone surrogate; no normalised text has one")
        if len(self._ids) < len(self.vocabulary):
            twice = next(piece for piece, count in Counter(self.vocabulary).items() if count > 1)
            raise ValueError(f"vocabulary holds {short(twice)} twice")
        if self.bert is not None:
            if not isinstance(self.bert, Bert):
                raise ValueError(f"bert is {short(self.bert)}; it must be an object")
            for name, value in dataclasses.asdict(self.bert).items():
                check_integer(f"bert.{name}", value, FIRST_PIECE, FIRST_PIECE + len(self.vocabulary) - 1)

    @property
    def vocab_size(self) -> int:
        return FIRST_PIECE + len(self.vocabulary) + len(self.specials)

    def encode(self, text: str, limit: int | None = None) -> NDArray[np.int32]:
        """(T,) int32; with `limit`, the first `limit` ids of it, without reading much more text than they need."""
        ids: list[int] = [] if self.bert is None else [self.bert.first]
        split = words if self.bert is None else bert_words
        for word in split(text, self.normalisation, limit):
            whole = self._ids.get(word)  # most words are one piece
            if whole is not None and len(word) <= self._most_characters:
                ids.append(whole)
            else:
                ids += self._pieces(word)
            if limit is not None and len(ids) >= limit:
                break
        if self.bert is not None:
            ids.append(self.bert.last)
        return np.array(ids[:limit], dtype=np.int32)

    def to_json(self) -> dict[str, Any]:
        framed = {} if self.bert is None else {"bert": dataclasses.asdict(self.bert)}
        return {**shared_json(self), **specials_json(self.specials), **framed, "vocabulary": list(self.vocabulary)}

    def decode(self, ids: Iterable[int]) -> str:
        """The words of the ids, one space between two; padding and specials are left out, unknown is U+FFFD.

        Where a text had its spaces, and which word was unknown, is not in the ids.

        Raises:
            ValueError: an id is not below `vocab_size`.
        """
        parts: list[str] = []
        for piece in look_up(ids, self._meanings):
            if piece.startswith(CONTINUES):
                parts.append(piece.removeprefix(CONTINUES))
            elif piece:
                parts += [" ", piece] if parts else [piece]
        return "".join(parts)

    def _pieces(self, word: str) -> list[int]:
        if len(word) > self._most_characters:
            return [self._unknown]
        ids = []
        start = 0
        while start < len(word):
            prefix = CONTINUES if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            ids.append(piece)
            start = end
        return ids

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {piece: index for index, piece in enumerate(self.vocabulary, FIRST_PIECE)}

    @cached_property
    def _meanings(self) -> tuple[str, ...]:
        meanings = ["", REPLACEMENT, *self.vocabulary, *("" for _ in self.specials)]
        if self.bert is not None:
            meanings[UNKNOWN] = meanings[self.bert.first] = meanings[self.bert.last] = ""
            meanings[self.bert.unknown] = REPLACEMENT
        return tuple(meanings)

    @property
    def _unknown(self) -> int:
        return UNKNOWN if self.bert is None else self.bert.unknown

    @property
    def _most_characters(self) -> int:
        return MOST_WORD_CHARACTERS if self.bert is None else MOST_BERT_WORD_CHARACTERS

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.vocabulary), default=0)


def train(
    texts: Iterable[str],
    vocab_size: int = 10_000,
    min_frequency: int = 2,
    normalisation: Normalisation = DEFAULT,
    max_tokens: int = 64,
    window: Window | None = None,
    specials: tuple[str, ...] = (),
) -> WordPiece:
    """A tokenizer with at most `vocab_size` ids, padding, unknown and specials among them.

    The same texts give the same one. `min_frequency` is how often two pieces must meet to become one.
    """
    # only training needs the library: a phone or a server predicts without it
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    check_specials(specials)
    check_integer("vocab_size", vocab_size, FIRST_PIECE + len(specials) + 2, MOST_PIECES)
    vocab_size -= len(specials)
    split = [[w for w in words(text, normalisation) if len(w) <= MOST_WORD_CHARACTERS] for text in texts]
    counts = Counter(character for found in split for word in found for character in word)
    room = min(MOST_ALPHABET, (vocab_size - FIRST_PIECE) // 2)  # a character takes two ids: alone and continuing
    alphabet = sorted(sorted(counts, key=lambda character: (-counts[character], character))[:room])
    kept = set(alphabet)
    lines = [" ".join(word for word in found if kept.issuperset(word)) for found in split]

    # The library numbers "##x" in the order of a hash map, and decides ties by number. Naming them all
    # beforehand makes the same texts give the same vocabulary.
    named = ["[PAD]", "[UNK]", *(CONTINUES + character for character in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=named,
        initial_alphabet=alphabet,
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    library = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Split(" ", "removed")  # the words are ours
    library.train_from_iterator(lines, trainer)
    pieces = sorted(library.get_vocab().items(), key=lambda entry: entry[1])
    vocabulary = tuple(piece for piece, _ in pieces if piece not in ("[PAD]", "[UNK]"))
    return WordPiece(vocabulary, normalisation, max_tokens, window, specials)
