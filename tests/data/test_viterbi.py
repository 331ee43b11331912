"""Viterbi against all paths, and the golden file by which other languages check themselves."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.data.files import write_text
from edgewright.data.viterbi import argmax, bio_transitions, viterbi

GOLDEN = Path(__file__).parents[1] / "golden" / "viterbi.json"
LABELS = ("O", "B-DATE", "I-DATE", "B-TIME", "I-TIME")
FORBIDDEN = None  # -inf, which JSON does not have


def best_of_all(scores: Any, transitions: Any, start: Any, end: Any) -> list[int]:
    """Every path in turn; of equal ones, the one with the lower tag at the last place where two differ."""
    words, tags = np.shape(scores)

    def worth(path: tuple[int, ...]) -> float:
        total = start[path[0]] + scores[0][path[0]]
        for t in range(1, words):
            total = total + transitions[path[t - 1]][path[t]] + scores[t][path[t]]
        return total + end[path[-1]]

    paths: list[tuple[int, ...]] = sorted(itertools.product(range(tags), repeat=words), key=lambda path: path[::-1])
    if not words:
        return []
    best = max(paths, key=worth)
    return list(best)


def _shown(values: Any) -> Any:
    if np.ndim(values):
        return [_shown(value) for value in values]
    return FORBIDDEN if np.isinf(values) else float(values)


def made_anew() -> list[dict[str, Any]]:
    """Multiples of 1/8, which float32 and float64 add alike, so that ties are ties in every language."""
    draws = np.random.default_rng(20261121)
    masked, masked_start = bio_transitions(LABELS)
    cases = []

    def add(name: str, scores: Any, transitions: Any, start: Any, end: Any) -> None:
        given = {"transitions": transitions, "start": start, "end": end}
        shown = {key: _shown(value) for key, value in given.items()}
        path = best_of_all(scores, transitions, start, end)
        cases.append({"name": name, "scores": np.asarray(scores).tolist(), **shown, "path": path})

    def eighths(*shape: int) -> Any:
        return draws.integers(-32, 33, shape) / 8

    free, none = np.zeros((5, 5)), np.zeros(5)
    add("no word", np.zeros((0, 5)), free, none, none)
    add("one word", eighths(1, 5), eighths(5, 5), eighths(5), eighths(5))
    add("all equal", np.zeros((4, 5)), free, none, none)
    add("ties", draws.integers(0, 2, (5, 3)), draws.integers(0, 2, (3, 3)), np.zeros(3), np.zeros(3))
    for number in range(4):
        add(f"learnt {number}", eighths(5, 5), eighths(5, 5), eighths(5), eighths(5))
    for number in range(4):
        add(f"well-formed {number}", eighths(6, 5), masked, masked_start, none)
    add("learnt and well-formed", eighths(6, 5), eighths(5, 5) + masked, eighths(5) + masked_start, eighths(5))
    add("inside tags score best", [[0, -1, 4, -1, 3]] * 4, masked, masked_start, none)
    return cases


@pytest.fixture(scope="module")
def golden(request: pytest.FixtureRequest) -> Any:
    if request.config.getoption("--update-golden"):
        rows = ",\n".join(json.dumps(case) for case in made_anew())
        write_text(GOLDEN, f'{{"labels": {json.dumps(LABELS)},\n"cases": [\n{rows}\n]}}\n')
    return json.loads(GOLDEN.read_text(encoding="ascii"))


def numbers(values: Any, shape: tuple[int, ...]) -> Any:
    return np.array([-np.inf if value is None else value for value in np.ravel(values)], float).reshape(shape)


def test_paths_are_the_golden_ones(golden: Any) -> None:
    assert len(golden["cases"]) == len(made_anew())
    for case in golden["cases"]:
        tags = len(case["start"])
        scores = np.array(case["scores"], float).reshape(-1, tags)
        steps = numbers(case["transitions"], (tags, tags))
        ends = numbers(case["start"], (tags,)), numbers(case["end"], (tags,))
        assert viterbi(scores, steps, *ends).tolist() == case["path"], case["name"]
        assert best_of_all(scores, steps, *ends) == case["path"], case["name"]


@pytest.mark.parametrize("words", [1, 2, 3, 5])
@pytest.mark.parametrize("tags", [1, 2, 4])
def test_it_is_the_best_of_all_paths(words: int, tags: int) -> None:
    draws = np.random.default_rng(words * 10 + tags)
    for _ in range(20):
        scores, steps = draws.normal(size=(words, tags)), draws.normal(size=(tags, tags))
        start, end = draws.normal(size=tags), draws.normal(size=tags)
        assert viterbi(scores, steps, start, end).tolist() == best_of_all(scores, steps, start, end)


def test_without_transitions_it_is_argmax() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    assert np.array_equal(viterbi(scores, np.zeros((7, 7))), argmax(scores))


def test_with_the_mask_every_inside_tag_continues_its_entity() -> None:
    transitions, start = bio_transitions(LABELS)
    draws = np.random.default_rng(1)
    for _ in range(50):
        path = [LABELS[tag] for tag in viterbi(draws.normal(size=(12, 5)) * 3, transitions, start)]
        for before, tag in zip(["O", *path], path, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_the_mask_forbids_nothing_else() -> None:
    transitions, start = bio_transitions(("O", "B-A", "I-A", "B-B", "I-B"))
    assert start.tolist() == [0, 0, -np.inf, 0, -np.inf]
    assert np.isinf(transitions).astype(int).tolist() == [
        [0, 0, 1, 0, 1],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
    ]


def test_no_word_has_no_tags() -> None:
    assert viterbi(np.zeros((0, 3)), np.zeros((3, 3))).tolist() == []
    assert argmax(np.zeros((0, 3))).tolist() == []


def test_a_wrong_shape_and_a_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="3 tags, but transitions"):
        viterbi(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="NaN"):
        viterbi(np.full((2, 3), np.nan), np.zeros((3, 3)))
