"""The tagger: scores of words do not depend on padding or on a neighbour's length, and do depend on both sides."""

import pytest
import torch

from edgewright.models.tagger import Tagger, TaggerConfig


@pytest.fixture(params=["bilstm", "dilated_cnn"])
def model(request: pytest.FixtureRequest) -> Tagger:
    torch.manual_seed(0)
    return Tagger(TaggerConfig(50, features=4, classes=5, width=12, hidden=8, encoder=request.param)).eval()


def test_padding_changes_no_word(model: Tagger) -> None:
    (ids,) = model.example_inputs(6)
    with torch.inference_mode():
        alone = model(ids)
        assert alone.shape == (1, 6, 5)
        longer = torch.cat([ids, torch.zeros(1, 10, 4, dtype=torch.int32)], dim=1)
        assert torch.allclose(model(longer)[:, :6], alone, atol=1e-6)


def test_a_word_is_read_in_the_light_of_those_before_and_behind(model: Tagger) -> None:
    (ids,) = model.example_inputs(7)
    with torch.inference_mode():
        scores = model(ids)[0, 3]
        for place in (1, 5):
            other = ids.clone()
            other[0, place] = 49
            assert (model(other)[0, 3] - scores).abs().max() > 1e-5


def test_features_that_are_missing_weigh_nothing(model: Tagger) -> None:
    (ids,) = model.example_inputs(3)
    ids[:, :, 2:] = 0
    with torch.inference_mode():
        words = model.embedding(ids[:, :, :2]).sum(dim=2) / 2**0.5
        again = model.embedding(ids).sum(dim=2) / (ids != 0).sum(dim=2, keepdim=True).sqrt()
        assert torch.allclose(words, again)
        assert torch.isfinite(model(torch.zeros_like(ids))).all()


def test_only_a_random_field_has_transitions() -> None:
    config = TaggerConfig(50, features=4, classes=5, width=12, hidden=8)
    assert not hasattr(Tagger(config), "transitions")
    assert Tagger(TaggerConfig(50, 4, 5, 12, 8, crf=True)).transitions.shape == (5, 5)
