"""Every family of classifiers: padding changes nothing, an empty text is fine, and what the README promises."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from edgewright.models import MODELS, parameters

CLASSIFIERS = sorted(name for name, family in MODELS.items() if family.kind == "single_label")


@pytest.fixture(params=CLASSIFIERS)
def model(request: pytest.FixtureRequest) -> Any:
    family = MODELS[request.param]
    torch.manual_seed(0)
    made = family.module(family.config())
    with torch.no_grad():  # biases that are not 0: they must not leak out of padding
        for name, value in made.named_parameters():
            if name.endswith("bias"):
                value.add_(torch.randn_like(value))
    return made.eval()


def padded(ids: torch.Tensor, more: int) -> torch.Tensor:
    return F.pad(ids, (0, 0) * (ids.dim() - 2) + (0, more))


@pytest.mark.parametrize("length", [1, 2, 5, 16])
def test_padding_does_not_change_the_scores(model: Any, length: int) -> None:
    (ids,) = model.example_inputs(length)
    with torch.inference_mode():
        scores = model(ids)
        for more in (1, 7, 48):
            assert torch.allclose(model(padded(ids, more)), scores, atol=1e-5, rtol=1e-5)


def test_the_length_of_a_neighbour_in_the_batch_does_not_change_the_scores(model: Any) -> None:
    (ids,) = model.example_inputs(16, batch=2)
    ids[0, 5:] = 0
    with torch.inference_mode():
        assert torch.allclose(model(ids)[0], model(ids[:1, :5])[0], atol=1e-5, rtol=1e-5)


def test_an_empty_text_gives_finite_scores_that_no_length_changes(model: Any) -> None:
    (ids,) = model.example_inputs(8)
    with torch.inference_mode():
        scores = model(torch.zeros_like(ids))
        assert torch.isfinite(scores).all()
        assert torch.equal(model(torch.zeros_like(padded(ids, 24))), scores)


def test_one_changed_token_changes_the_scores(model: Any) -> None:
    (ids,) = model.example_inputs(8)
    other = ids.clone()
    other[0, 3] += 1
    with torch.inference_mode():
        assert not torch.allclose(model(ids), model(other), atol=1e-4)


def test_padding_gets_no_gradient(model: Any) -> None:
    (ids,) = model.example_inputs(8)
    model.train()(padded(ids, 8)).sum().backward()
    assert not model.embedding.weight.grad[0].any()


def test_the_text_cnn_is_the_small_one_that_was_asked_for() -> None:
    family = MODELS["text_cnn"]
    config = family.config()
    assert (config.vocab_size, config.width, config.hidden, config.kernel) == (10_000, 32, 64, 3)
    assert parameters(family.module(config)) < 500_000


def test_an_empty_text_gives_the_text_cnn_its_bias() -> None:
    made = MODELS["text_cnn"].module(MODELS["text_cnn"].config()).eval()
    with torch.inference_mode():
        assert torch.equal(made(torch.zeros(1, 8, dtype=torch.int32))[0], made.head.bias)
