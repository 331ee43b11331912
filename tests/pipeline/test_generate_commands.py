"""`edgewright demo hybrid` and `edgewright generate`, as far as they need no bundle."""

from typing import Any

import pytest

from edgewright.errors import UsageError
from edgewright.pipeline import generate_commands
from tests.end_to_end.runs import edgewright, inside


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    return generate_commands.demo_hybrid("small", seed=3)


def test_the_demo_writes_in_four_ways_and_says_how_fast(answer: dict[str, Any]) -> None:
    ways = {one["way"]: one for one in answer["generations"]}
    assert list(ways) == ["greedy", "temperature 0.8", "top-k 20", "top-p 0.9"]
    assert len({tuple(one["ids"]) for one in ways.values()}) == 4
    for one in ways.values():
        assert 1 <= one["tokens"] == len(one["ids"]) <= 16
        assert one["first_token_ms"] > 0 and one["cache_bytes"] == 4 * 4 * 32 * 32 * 4
    assert answer["forward"]["logits"] == [2, 8, 1000]
    assert 6 < answer["forward"]["loss"] < 8, "about ln 1000: nothing was learnt"


def test_the_demo_repeats_from_its_seed(answer: dict[str, Any]) -> None:
    def ids(said: dict[str, Any]) -> list[list[int]]:
        return [one["ids"] for one in said["generations"]]

    assert ids(generate_commands.demo_hybrid("small", seed=3)) == ids(answer)
    assert ids(generate_commands.demo_hybrid("small", seed=4)) != ids(answer)


def test_the_demo_of_the_full_size_shows_its_table() -> None:
    lines = generate_commands.demo_lines(generate_commands.demo_hybrid("full", seed=0))
    shown = {" ".join(line.split()) for line in lines}
    assert {"source embedding 0.51 M", "encoder 6.04 M", "decoder 26.25 M", "in all 32.81 M"} <= shown


def test_wrong_arguments_of_the_demo_are_named() -> None:
    with pytest.raises(UsageError, match="--size: 'big' is none of small, full"):
        generate_commands.demo_hybrid("big", 0)
    with pytest.raises(UsageError, match="--seed: -1 is below 0"):
        generate_commands.demo_hybrid("small", -1)


def test_a_bundle_of_another_kind_and_a_wrong_setting_are_refused_in_one_line() -> None:
    done = edgewright("generate", "urgency", "hello")
    assert done.code == 2 and done.stderr.count("\n") == 1
    assert "of kind 'single_label' writes no replies; use edgewright predict" in done.stderr
    done = inside("generate", "urgency", "hello", "--top-p", "3")
    assert done.code == 2 and done.stderr == "edgewright: top_p is 3.0; it must be from 0 (off) to 1\n"
