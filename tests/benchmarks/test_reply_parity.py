"""Replies beside replies, and perplexity through `encode` and `step`."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from edgewright.benchmarks import reply_parity
from edgewright.data.characters import Characters
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.runtimes.generator import Shapes, shapes_of
from edgewright.runtimes.pytorch import PyTorchRunner

LENGTHS = (4, 8)
PROMPTS = [np.array(ids, np.int32) for ids in ([3, 4, 5], [7], [], [1, 2, 3, 4, 5, 6, 7, 8, 9])]


@pytest.fixture(scope="module")
def model() -> HybridRNNTransformer:
    torch.manual_seed(0)
    sizes = HybridConfig(20, 16, 1, 8, 2, 2, 2, 16, max_target=6)
    return HybridRNNTransformer(sizes).eval()


def shapes(model: HybridRNNTransformer) -> Shapes:
    return shapes_of([asdict(method) for method in model.methods(LENGTHS)])


def test_equal_replies_and_where_others_differ() -> None:
    expected = [[5, 6, 7], [5, 6, 7], [5, 6, 7], [5]]
    found = reply_parity.compare([[5, 6, 7], [5, 9, 7], [5, 6], [5, 6]], expected)
    assert (found.n, found.equal, found.tokens) == (4, 0.25, 2.5)
    assert found.common_prefix == (3 + 1 + 2 + 1) / 4
    assert found.first_differences == (1, 2, 1)
    assert reply_parity.compare([(5, 6)], [[5, 6]]).equal == 1, "a tuple and a list of the same ids"


@pytest.mark.parametrize("found", [[], [[1], [2]]])
def test_replies_to_other_prompts_are_refused(found: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="beside"):
        reply_parity.compare(found, [] if not found else [[1]])


def test_taught_steps_give_what_forward_gives(model: HybridRNNTransformer) -> None:
    given = [18, 4, 9, 2]
    for prompt in PROMPTS[:2]:
        found = reply_parity.taught(PyTorchRunner(model), shapes(model), prompt, given)
        with torch.inference_mode():
            wanted = model(torch.from_numpy(prompt[None]), torch.tensor([given], dtype=torch.int32))[0].numpy()
        assert found == pytest.approx(wanted, abs=1e-5)


def test_perplexity_is_that_of_the_shares() -> None:
    scores = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
    nats = reply_parity.surprises(scores, [0, 1])
    assert nats == pytest.approx([math.log(2), math.log(10)], rel=1e-6)
    assert reply_parity.perplexity([nats[:1], nats[1:]]) == pytest.approx(math.sqrt(20), rel=1e-6)
    assert reply_parity.perplexity([np.array([800.0])]) == math.inf


def test_padding_of_prompts_is_judged(model: HybridRNNTransformer) -> None:
    runner = PyTorchRunner(model)
    right = reply_parity.encode_padding(runner, PROMPTS, LENGTHS, "fp32")
    assert right.neutral and right.difference < 1e-5

    class Leaking:
        def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
            return (runner.run(*arrays, method=method)[0] + 0.01 * arrays[0].shape[1],)

    wrong = reply_parity.encode_padding(Leaking(), PROMPTS, LENGTHS, "fp32")
    assert not wrong.neutral and wrong.length == 8 and wrong.difference == pytest.approx(0.04, rel=1e-3)


def test_tokens_of_words_that_are_new_are_counted_apart() -> None:
    tokenizer = Characters("abcdey 1.")  # without capitals and marks
    known = reply_parity.words_of(tokenizer, ["Y ab 1", "é."])
    assert known == {"y", "ab", "1", "e"}
    new = reply_parity.in_new_words(tokenizer, " y ab. 1abc éé ", known)
    assert "".join("x" if one else "." for one in new) == "......xxxx.xx"
    nats = [np.log(np.array([2.0, 8.0, 2.0])), np.log(np.array([32.0]))]
    found = reply_parity.by_word(nats, [np.array([False, True]), np.array([True, True, True])])
    assert found == pytest.approx({"perplexity": 2 ** (10 / 4), "new_share": 0.5, "known_words": 2, "new_words": 16})
    alone = reply_parity.by_word(nats[1:], [np.array([False])])
    assert alone["new_words"] is None and alone["new_share"] == 0 and alone["known_words"] == pytest.approx(32)
