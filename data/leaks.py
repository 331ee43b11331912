"""Near-duplicates across splits: texts whose 3-word shingles have a Jaccard similarity of 0.7 or more.

The search is exact, not sampled. Source of the method (prefix and length filter): Bayardo, Ma and Srikant 2007,
"Scaling up all pairs similarity search"; two sets with similarity >= t must share one of their first
n - ceil(t * n) + 1 members when both are sorted by how rare the members are.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIMILARITY = 0.7
SHINGLE_WORDS = 3

_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Leak:
    """Two near-duplicate rows in two splits, by number (from 0) and never by text."""

    split_a: str
    row_a: int
    split_b: str
    row_b: int
    similarity: float  # Jaccard, SIMILARITY..1


def shingles(text: str) -> frozenset[str]:
    """The 3-word shingles of a text without case, accents, punctuation and the value of numbers.

    A text of one or two words is one shingle; one without a word (an emoji, say) is its own.
    """
    folded = text.casefold()
    if not folded.isascii():
        decomposed = unicodedata.normalize("NFKD", folded)
        folded = "".join(c for c in decomposed if not unicodedata.combining(c))
    words = _WORD.findall(_DIGITS.sub("0", folded))
    if not words:
        return frozenset([folded.strip()])
    last = max(len(words) - SHINGLE_WORDS, 0)
    return frozenset(" ".join(words[i : i + SHINGLE_WORDS]) for i in range(last + 1))


def find_leaks(splits: Mapping[str, Sequence[str]]) -> list[Leak]:
    """Every pair of near-duplicates that lie in two different splits, sorted by split and row."""
    rows = [(split, row, shingles(text)) for split, texts in splits.items() for row, text in enumerate(texts)]
    frequency = Counter(shingle for _, _, members in rows for shingle in members)
    # shorter sets first, so that a set is only ever compared with one that is not longer
    rows.sort(key=lambda entry: len(entry[2]))

    found: list[Leak] = []
    holders: dict[str, list[int]] = {}  # shingle -> earlier rows that have it among their rarest
    for number, (split, row, members) in enumerate(rows):
        size = len(members)
        least = math.ceil(SIMILARITY * size - 1e-9)  # members of a set that can be similar; 0.7 is no exact float
        prefix = size - least + 1
        rarest = sorted(members, key=lambda shingle: (frequency[shingle], shingle))[:prefix]
        candidates: set[int] = set()
        for shingle in rarest:
            if frequency[shingle] > 1:
                candidates.update(holders.get(shingle, ()))
                holders.setdefault(shingle, []).append(number)
        for other in candidates:
            other_split, other_row, other_members = rows[other]
            if other_split == split or len(other_members) < least:
                continue
            shared = len(members & other_members)
            similarity = shared / (size + len(other_members) - shared)
            if similarity >= SIMILARITY:
                (a, row_a), (b, row_b) = sorted([(split, row), (other_split, other_row)])
                found.append(Leak(a, row_a, b, row_b, similarity))
    return sorted(found, key=lambda leak: (leak.split_a, leak.row_a, leak.split_b, leak.row_b))
