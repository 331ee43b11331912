"""Rows of a data file: JSON Lines (`.jsonl`, `.jsonl.gz`), one example a line, checked while they are read.

Keys of a line, by the task's kind: `text` always, and then

    single_label   label             a string
    multi_label    labels            a list of strings, which may be empty
    tags           tokens, tags      two lists of strings of the same length; `text` may be absent; `source`, which of
                                     a mixture's sets the row is from, is a string or absent
    generation     response          a string; `context`, earlier turns, is a string or a list of strings, or absent.
                                     A set of questions has `question` and `answers` instead, of which the first counts
    score          label             a finite number
    sequence       (nothing more)

`language` (or `lang`) is optional; other keys are ignored. Texts are handed on exactly as they stand in the file.
A `.txt` or `.txt.gz` file, which is for kind generation only, has one text a line and no responses.
"""

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from edgewright.data.files import write_bytes
from edgewright.errors import DataError

Kind = Literal["single_label", "multi_label", "tags", "generation", "score", "sequence"]


@dataclass(frozen=True)
class Row:
    """One example. Which fields are set depends on the task's kind (see the table above)."""

    text: str
    label: str | float | None = None
    labels: tuple[str, ...] | None = None
    tokens: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    response: str | None = None
    context: tuple[str, ...] | None = None  # turns before `text`, the oldest first
    language: str | None = None
    source: str | None = None  # of a row of tags: which of a mixture's sets it is from


def read_rows(path: Path, kind: Kind = "single_label", label_field: str = "label") -> Iterator[Row]:
    """The rows of a file, in its order.

    Args:
        path: a `.jsonl`, `.jsonl.gz`, `.txt` or `.txt.gz` file; a byte order mark and blank lines are accepted.
        label_field: the key that holds the label ("urgency", say); a row without it falls back to "label".

    Raises:
        DataError: what is wrong, with the file and the line. A file without any row is an error too, and like
            every other it comes when the iterator gets there.
    """
    plain = path.name.endswith((".txt", ".txt.gz")) and kind == "generation"
    if not plain and not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise DataError(f"{path}: not a data file by its name; rows are read from .jsonl and .jsonl.gz files")
    found = False
    for number, line in _lines(path):
        if line.strip():
            found = True
            yield Row(line.rstrip("\r\n")) if plain else _row(line, f"{path}, line {number}", kind, label_field)
    if not found:
        raise DataError(f"{path}: the file has no rows; write one {'text' if plain else 'JSON object'} a line")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    packed = path.name.endswith(".gz")
    number = 0
    try:
        stream: IO[bytes]
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:  # type: ignore[assignment]
            # bytes are split at \n only: str.splitlines would also cut at U+2028 inside a text
            for number, raw in enumerate(stream, start=1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        looks_packed = error.object[:2] == b"\x1f\x8b"
        hint = f"it looks like gzip: name it {path.suffix}.gz" if looks_packed else "save it as UTF-8"
        raise DataError(f"{path}, line {number}: not UTF-8 (byte {error.start}); {hint}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip data ends early or is damaged after line {number}; get the file anew"
        ) from error
    except gzip.BadGzipFile as error:
        raise DataError(f"{path}: not a gzip file, or damaged ({error}); get the file anew") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror or error})") from error


def _row(line: str, place: str, kind: Kind, label_field: str) -> Row:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{place}: not JSON ({reason}); write one JSON object a line") from error
    if not isinstance(record, dict):
        raise DataError(f'{place}: a {_type(record)}, not an object such as {{"text": "...", "label": "..."}}')

    tokens = _strings(record, "tokens", place) if kind == "tags" else None
    if tokens is not None and "text" not in record:
        text = " ".join(tokens)
    elif kind == "generation" and "text" not in record and "question" in record:
        text = _string(record, "question", place)
    else:
        text = _string(record, "text", place)
    if not text.strip() and kind != "generation":  # a reply to nothing is a pair; who trains may leave it out
        raise DataError(f"{place}: the text is empty; remove the row or give it a text")

    language = _optional(record, place, "language", "lang")

    key = label_field if label_field in record else "label"
    match kind:
        case "single_label":
            label = _string(record, key, place, shown=label_field)
            if not label:
                raise DataError(f"{place}: '{key}' is empty; name the label")
            return Row(text, label=label, language=language)
        case "score":
            return Row(text, label=_number(record, key, place, shown=label_field), language=language)
        case "multi_label":
            return Row(text, labels=_strings(record, "labels", place), language=language)
        case "sequence":
            return Row(text, language=language)
        case "tags":
            assert tokens is not None
            tags = _strings(record, "tags", place)
            if len(tags) != len(tokens):
                raise DataError(f"{place}: {len(tokens)} tokens but {len(tags)} tags; each token needs one tag")
            return Row(text, tokens=tokens, tags=tags, language=language, source=_optional(record, place, "source"))
        case "generation":
            context = _context(record, place)
            if "response" not in record and "answers" in record:
                answers = _strings(record, "answers", place)
                if not answers:
                    raise DataError(f"{place}: 'answers' is empty; give one or remove the row")
                return Row(text, response=answers[0], context=context, language=language)
            return Row(text, response=_string(record, "response", place), context=context, language=language)


def _present(record: dict[str, Any], key: str, place: str, shown: str | None = None) -> Any:
    if record.get(key) is None:
        raise DataError(f"{place}: the row has no '{shown or key}'; add it or remove the row")
    return record[key]


def _string(record: dict[str, Any], key: str, place: str, shown: str | None = None) -> str:
    value = _present(record, key, place, shown)
    if not isinstance(value, str):
        raise DataError(f"{place}: '{key}' is a {_type(value)}, not a string")
    return _encodable(value, key, place)


def _strings(record: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = _present(record, key, place)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{place}: '{key}' is not a list of strings")
    return tuple(_encodable(item, key, place) for item in value)


def _optional(record: dict[str, Any], place: str, *keys: str) -> str | None:
    """The value of the first of the keys that the row has."""
    key = next((key for key in keys if key in record), keys[0])
    value = record.get(key)
    if not isinstance(value, str | None):
        raise DataError(f"{place}: '{key}' is a {_type(value)}, not a string")
    return value


def _context(record: dict[str, Any], place: str) -> tuple[str, ...] | None:
    if record.get("context") is None:
        return None
    turns = [record["context"]] if isinstance(record["context"], str) else record["context"]
    return _strings({"context": turns}, "context", place)


def _number(record: dict[str, Any], key: str, place: str, shown: str) -> float:
    value = _present(record, key, place, shown)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{place}: '{key}' is not a finite number")
    return float(value)


def _encodable(value: str, key: str, place: str) -> str:
    # JSON can spell half of a surrogate pair ("\ud83d"), which no tokenizer or file can then encode
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: '{key}' holds half of a surrogate pair at character {error.start}; repair it"
        ) from error
    return value


def _type(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def write_rows(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write a `.jsonl.gz` file whose bytes depend on the records alone (no time or name in the gzip header)."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
    write_bytes(path, buffer.getvalue())
