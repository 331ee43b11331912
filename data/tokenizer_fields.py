"""What every tokenizer.json holds beside its own kind's fields, and how fields are checked.

A wrong value is a ValueError that names the field; whoever knows the file adds its path.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edgewright.data.text import Normalisation

SPEC = 1  # of docs/tokenizer.md; a change of any id that a text gives is a new number
MOST_TOKENS = 1 << 20
MOST_SPECIALS = 256
SPECIAL = re.compile("[a-z0-9_]{1,32}")
# keys that a file may leave out: those without them are older than the key
OPTIONAL = ("specials", "bert", "shapes", "characters")

Built = TypeVar("Built")
Meaning = TypeVar("Meaning", str, bytes)


@dataclass(frozen=True)
class Window:
    """How a text of more tokens than `length` is read: windows of `length` tokens, one every `stride` tokens."""

    length: int
    stride: int

    def __post_init__(self) -> None:
        check_integer("window.length", self.length, 1, MOST_TOKENS)
        check_integer("window.stride", self.stride, 1, self.length)  # a longer stride would skip tokens


@dataclass(frozen=True)
class Bert:
    """What a vocabulary of BERT's has beside its pieces, by id; with it, texts are read as BERT reads them."""

    unknown: int  # [UNK]
    first: int  # [CLS], before every text
    last: int  # [SEP], behind every text


class Fields(Protocol):
    """The fields that all kinds share."""

    @property
    def kind(self) -> str: ...

    @property
    def normalisation(self) -> Normalisation: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def window(self) -> Window | None: ...


def check_integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:  # True is no number here
        raise ValueError(f"{name} is {short(value)}; it must be a whole number from {low} to {high}")


def check_shared(tokenizer: Fields) -> None:
    """The shared fields of a tokenizer, as its dataclass holds them."""
    if not isinstance(tokenizer.normalisation, Normalisation):
        raise ValueError(f"normalisation is {short(tokenizer.normalisation)}; it must be an object")
    check_integer("max_tokens", tokenizer.max_tokens, 1, MOST_TOKENS)
    if tokenizer.window is None:
        return
    if not isinstance(tokenizer.window, Window):
        raise ValueError(f"window is {short(tokenizer.window)}; it must be an object or null")
    if tokenizer.window.length > tokenizer.max_tokens:
        raise ValueError(
            f"window.length is {tokenizer.window.length}; it must be at most max_tokens ({tokenizer.max_tokens})"
        )


def check_specials(specials: object) -> None:
    """The names of the ids that no text gives; they are the last ids of a tokenizer, in the order of the names."""
    if not isinstance(specials, tuple) or not all(type(name) is str for name in specials):
        raise ValueError("specials must be an array of names")
    check_integer("the number of specials", len(specials), 0, MOST_SPECIALS)
    for number, name in enumerate(specials):
        if not SPECIAL.fullmatch(name):
            raise ValueError(f"specials holds {short(name)}; a name is 1 to 32 of a-z, 0-9 and _, such as 'start'")
        if name in specials[:number]:
            raise ValueError(f"specials holds {short(name)} twice")


def specials_json(specials: tuple[str, ...]) -> dict[str, Any]:
    """Empty without specials, so that a tokenizer without them is the same file as before there were any."""
    return {"specials": list(specials)} if specials else {}


def look_up(ids: Iterable[int], meanings: Sequence[Meaning]) -> Iterator[Meaning]:
    """What each id stands for; a ValueError at one that the tokenizer does not have."""
    for index in ids:
        if not 0 <= index < len(meanings):
            raise ValueError(f"the id {index} is not one of 0 to {len(meanings) - 1}")
        yield meanings[index]


def check_clean(tokenizer: Fields) -> None:
    if not tokenizer.normalisation.clean:
        raise ValueError(f"normalisation.clean is false; kind '{tokenizer.kind}' needs it true")


def shared_json(tokenizer: Fields) -> dict[str, Any]:
    """The first keys of tokenizer.json, in their order."""
    return {
        "spec": SPEC,
        "kind": tokenizer.kind,
        "normalisation": dataclasses.asdict(tokenizer.normalisation),
        "max_tokens": tokenizer.max_tokens,
        "window": None if tokenizer.window is None else dataclasses.asdict(tokenizer.window),
    }


def build(kind: type[Built], content: object, name: str = "") -> Built:
    """The dataclass `kind` from a JSON object that has its fields, of which only OPTIONAL ones may be absent, and no
    others; arrays become tuples."""
    if not isinstance(content, dict):
        raise ValueError(f"{name or 'the file'} is {short(content)}; it must be an object")
    expected = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    prefix = f"{name}." if name else ""
    for key in content:
        if key not in expected:
            raise ValueError(f"unknown key {short(prefix + key)}{did_you_mean(key, expected)}")
    for key in expected:
        if key not in content and key not in OPTIONAL:
            raise ValueError(f"the key '{prefix}{key}' is missing")
    values = {key: _frozen(value) for key, value in content.items()}
    for key, part in (("normalisation", Normalisation), ("window", Window), ("bert", Bert)):
        if key in expected and values.get(key) is not None:
            values[key] = build(part, values[key], key)
    return kind(**values)


def did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word[:100], known, 1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def short(value: object) -> str:
    """The value on one line of a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value
