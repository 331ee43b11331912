"""Tokenizers: text in, int32 ids out, the same ids in every language that follows docs/tokenizer.md.

A tokenizer is one tokenizer.json. A new kind is one file with a frozen dataclass, and one line in `KINDS`.
Shapes: N texts, T tokens, K features of a token (only kinds with `features`).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.characters import Characters
from edgewright.data.files import read_json, write_text
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer_fields import SPEC, Window, build, did_you_mean, short
from edgewright.data.wordpiece import WordPiece
from edgewright.errors import DamagedFileError

__all__ = [
    "KINDS",
    "SPEC",
    "Tokenizer",
    "Window",
    "Writing",
    "batch",
    "from_json",
    "load",
    "pad",
    "pieces",
    "save",
    "special_id",
    "windows",
]

PADDING = 0


class Tokenizer(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def normalisation(self) -> Normalisation: ...

    @property
    def max_tokens(self) -> int:
        """The most tokens that the model takes in one call."""

    @property
    def window(self) -> Window | None:
        """How a longer text is read; None cuts it at `max_tokens`."""

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table: every id is below it; padding is one of them."""

    @property
    def features(self) -> int | None:
        """K, or None where a token is one id."""

    def encode(self, text: str, limit: int | None = None) -> NDArray[np.int32]:
        """(T,) or (T, K) int32, T = 0 for an empty text: all tokens, whatever `max_tokens` is.

        With `limit`, exactly the first `limit` rows of that, found without encoding the rest.
        """

    def to_json(self) -> dict[str, Any]:
        """The content of tokenizer.json."""


class Writing(Tokenizer, Protocol):
    """A tokenizer whose ids give text back, which generation needs: every kind without `features`."""

    @property
    def specials(self) -> tuple[str, ...]:
        """Names of the last ids, which no text gives and which decode to nothing."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; an id that is not below `vocab_size` is a ValueError."""


KINDS: dict[str, type[ByteBPE] | type[Characters] | type[HashedNgrams] | type[WordPiece]] = {
    "byte_bpe": ByteBPE,
    "characters": Characters,
    "hashed_ngrams": HashedNgrams,
    "wordpiece": WordPiece,
}


def special_id(tokenizer: Writing, name: str) -> int:
    """The id of a special, such as "start" or "end"; a ValueError where the tokenizer has none of that name."""
    if name not in tokenizer.specials:
        raise ValueError(f"the tokenizer has no special '{name}'; it has {', '.join(tokenizer.specials) or 'none'}")
    return tokenizer.vocab_size - len(tokenizer.specials) + tokenizer.specials.index(name)


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write tokenizer.json: UTF-8, one line a key, no space inside; the same tokenizer gives the same bytes."""
    lines = [
        f'"{key}":{json.dumps(value, ensure_ascii=False, separators=(",", ":"))}'
        for key, value in tokenizer.to_json().items()
    ]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def load(path: Path) -> Tokenizer:
    """The tokenizer in a tokenizer.json; anything wrong in it is a DamagedFileError."""
    try:
        return from_json(read_json(path))
    except (ValueError, RecursionError) as error:  # RecursionError: arrays nested some thousand deep
        raise DamagedFileError(f"{path}: {error}; get the file anew or train the tokenizer again") from error


def from_json(content: Any) -> Tokenizer:
    """The tokenizer with this content of tokenizer.json; a ValueError says what is wrong in it."""
    if not isinstance(content, dict):
        raise ValueError("the file holds no JSON object")
    for key in ("spec", "kind"):
        if key not in content:
            raise ValueError(f"the key '{key}' is missing")
    spec, kind = content["spec"], content["kind"]
    if type(spec) is not int or spec < 1:
        raise ValueError("spec must be a whole number from 1")
    if spec > SPEC:
        raise ValueError(f"tokenizer specification {spec} is newer than {SPEC}, which this edgewright reads: update it")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown kind {short(kind)}{did_you_mean(str(kind), sorted(KINDS))}")
    return build(KINDS[kind], {key: value for key, value in content.items() if key not in ("spec", "kind")})


def pieces(tokenizer: Tokenizer, text: str) -> list[NDArray[np.int32]]:
    """What the model is called with for one text: its first `max_tokens` tokens, or its windows; at least one array.

    An empty text is one array with T = 0.
    """
    if tokenizer.window is None:
        return [tokenizer.encode(text, limit=tokenizer.max_tokens)]
    return windows(tokenizer.encode(text), tokenizer.window.length, tokenizer.window.stride)


def windows(ids: NDArray[np.int32], max_tokens: int, stride: int) -> list[NDArray[np.int32]]:
    """Views of ids (T[, K]), at most `max_tokens` long, one every `stride` tokens until one holds the last token."""
    if not 1 <= stride <= max_tokens:
        raise ValueError(f"stride is {stride}; it must be from 1 to max_tokens ({max_tokens})")
    starts = range(0, max(len(ids) - max_tokens + stride, 1), stride)
    return [ids[start : start + max_tokens] for start in starts]


def pad(ids: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """(1, length[, K]) int32: ids (T[, K]), cut at `length` or filled up with 0."""
    padded = np.zeros((1, length, *ids.shape[1:]), np.int32)
    padded[0, : len(ids)] = ids[:length]
    return padded


def batch(texts_ids: list[NDArray[np.int32]], length: int) -> NDArray[np.int32]:
    """(N, length[, K]) int32 of N ≥ 1 texts' ids (T[, K]), each cut at `length` or filled up with 0."""
    padded = np.zeros((len(texts_ids), length, *texts_ids[0].shape[1:]), np.int32)
    for row, ids in zip(padded, texts_ids, strict=True):
        row[: len(ids)] = ids[:length]
    return padded
