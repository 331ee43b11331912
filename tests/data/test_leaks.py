import random
import time
from itertools import combinations

import pytest

from edgewright.data.leaks import SIMILARITY, Leak, find_leaks, shingles


def test_case_accents_punctuation_and_digits_do_not_hide_a_duplicate() -> None:
    leaks = find_leaks(
        {
            "train": ["something else entirely", "Le SERVEUR est tombé à 9h40 !!"],
            "test": ["le serveur est tombe a 10h15"],
        }
    )
    assert leaks == [Leak("test", 0, "train", 1, 1.0)]


def test_the_bound_is_seven_tenths() -> None:
    words = [chr(ord("a") + i) * 3 for i in range(26)]
    whole = " ".join(words[:12])  # 10 shingles
    assert find_leaks({"a": [whole], "b": [" ".join(words[:9])]})[0].similarity == pytest.approx(0.7)
    assert find_leaks({"a": [whole], "b": [" ".join(words[:8])]}) == []


def test_duplicates_inside_one_split_are_no_leak() -> None:
    assert find_leaks({"train": ["one two three four"] * 3, "test": ["five six seven"]}) == []


def test_texts_without_words_and_short_texts_are_compared_whole() -> None:
    leaks = find_leaks({"a": ["😊", "help me", "!!"], "b": ["🎉", "Help  me!", "😊"]})
    assert [(leak.row_a, leak.row_b) for leak in leaks] == [(0, 2), (1, 1)]


def test_the_search_finds_exactly_what_comparing_all_pairs_finds() -> None:
    random_source = random.Random(5)
    words = [f"w{chr(97 + i)}" for i in range(12)]
    texts = [" ".join(random_source.choices(words, k=random_source.randint(1, 9))) for _ in range(300)]
    texts += [text + " end" for text in texts[:120]]
    splits = {"train": texts[::2], "validation": texts[1::4], "test": texts[3::4]}
    expected = set()
    for a, b in combinations(sorted(splits), 2):
        for row_a, text_a in enumerate(splits[a]):
            for row_b, text_b in enumerate(splits[b]):
                one, two = shingles(text_a), shingles(text_b)
                if len(one & two) / len(one | two) >= SIMILARITY:
                    expected.add((a, row_a, b, row_b))
    found = {(leak.split_a, leak.row_a, leak.split_b, leak.row_b) for leak in find_leaks(splits)}
    assert len(expected) > 20
    assert found == expected


def test_fifteen_thousand_rows_take_less_than_five_seconds() -> None:
    random_source = random.Random(1)
    words = [f"{a}{b}{c}" for a in "abcdef" for b in "aeiou" for c in "lmnrst"]
    texts = [" ".join(random_source.choices(words, k=30)) for _ in range(15_000)]
    start = time.process_time()
    assert find_leaks({"train": texts[:12_000], "test": [*texts[12_000:], texts[7]]}) == [
        Leak("test", 3000, "train", 7, 1.0)
    ]
    assert time.process_time() - start < 5
