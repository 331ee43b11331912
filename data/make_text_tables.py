"""Makes text_tables.json, the only knowledge of Unicode that the tokenizers have, from Unicode 14.

    python -m edgewright.data.make_text_tables

It was run once, with Python 3.11 (whose unicodedata is Unicode 14.0.0); what it wrote is committed and read by every
language. Running it with another Unicode would change the ids that shipped models were trained on, so it refuses.
The format of the file: docs/tokenizer.md, "The tables".
"""

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from edgewright.data.files import write_text

UNICODE = "14.0.0"
TABLES = Path(__file__).with_name("text_tables.json")

SURROGATES = range(0xD800, 0xE000)
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # decomposed by arithmetic, not by table
TABLED = [c for c in range(0x110000) if c not in SURROGATES]


def character_class(code_point: int) -> str:
    """One of "space", "control", "word", "ideograph", "punctuation", "symbol"."""
    character = chr(code_point)
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp") or 0x09 <= code_point <= 0x0D or 0x1C <= code_point <= 0x1F or code_point == 0x85:
        return "space"  # Unicode's White_Space, and the four ASCII separators
    if category in ("Cc", "Cf"):
        return "control"
    if unicodedata.name(character, "").startswith(("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-")):
        return "ideograph"
    if category[0] in "LNM" or character == "_":  # the underscore, so that ASCII words are \w+
        return "word"
    if category[0] == "P":
        return "punctuation"
    return "symbol"  # S*, and what Unicode 14 does not assign: newer emoji, private use


def is_mark(code_point: int) -> bool:
    """What stripping drops: non-spacing marks, and the 25 spacing ones that canonical ordering moves.

    With both gone, no two canonically equivalent texts can differ after stripping.
    """
    character = chr(code_point)
    return unicodedata.category(character) == "Mn" or unicodedata.combining(character) != 0


def base(code_point: int) -> list[int]:
    """The code points that stripping leaves: the full canonical decomposition without its marks."""
    return [ord(c) for c in unicodedata.normalize("NFD", chr(code_point)) if not is_mark(ord(c))]


def lower(code_point: int) -> list[int]:
    """Lower case without context: several code points only for U+0130; a final sigma stays U+03C3."""
    return [ord(c) for c in chr(code_point).lower()]


def tables() -> str:
    """The text of text_tables.json."""
    assert unicodedata.unidata_version == UNICODE, f"this Python has Unicode {unicodedata.unidata_version}"
    marks = [c for c in TABLED if is_mark(c)]
    stripped = {c: base(c) for c in TABLED if c not in HANGUL_SYLLABLES and not is_mark(c) and base(c) != [c]}
    lowered = {c: lower(c) for c in TABLED if lower(c) != [c]}
    classes: dict[str, list[int]] = {}
    for code_point in TABLED:
        classes.setdefault(character_class(code_point), []).append(code_point)
    del classes["symbol"]  # everything that no list holds
    parts = {
        "unicode": UNICODE,
        **{name: _ranges(classes[name]) for name in ("space", "control", "word", "ideograph", "punctuation")},
        "mark": _ranges(marks),
        "lower": _mapping(lowered),
        "base": _mapping(stripped),
    }
    lines = [f'"{name}":{json.dumps(value, separators=(",", ":"))}' for name, value in parts.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _ranges(code_points: Iterable[int]) -> list[int]:
    """Alternately how many code points are out and how many are in, from U+0000 on."""
    runs: list[int] = []
    end = 0
    for code_point in code_points:
        if runs and code_point == end:
            runs[-1] += 1
        else:
            runs += [code_point - end, 1]
        end = code_point + 1
    return runs


def _mapping(pairs: dict[int, list[int]]) -> list[list[int]]:
    """One row a code point, ascending: its distance from the row before, then what it becomes."""
    rows = []
    previous = 0
    for code_point, becomes in sorted(pairs.items()):
        rows.append([code_point - previous, *becomes])
        previous = code_point
    return rows


if __name__ == "__main__":
    write_text(TABLES, tables())
