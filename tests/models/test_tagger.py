"""The tagger: scores of words do not depend on padding or on a neighbour's length, and do depend on both sides."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgewright.data.hashed_ngrams import CHARACTER_ROWS
from edgewright.models.tagger import CharacterCNN, Tagger, TaggerConfig


@pytest.fixture(params=[("bilstm", 0), ("dilated_cnn", 0), ("bilstm", 6), ("dilated_cnn", 6)], ids=str)
def model(request: pytest.FixtureRequest) -> Tagger:
    encoder, characters = request.param
    torch.manual_seed(0)
    config = TaggerConfig(
        50, features=4, classes=5, width=12, hidden=8, encoder=encoder, characters=characters, character_filters=5
    )
    return Tagger(config).eval()


def in_training(word_dropout: float, feature_dropout: float) -> Tagger:
    """A tagger of two features and five characters that leaves out these shares of words and features, no units."""
    torch.manual_seed(0)
    config = TaggerConfig(50, features=2, classes=3, width=8, hidden=8, characters=5, dropout=0.0)
    return Tagger(replace(config, word_dropout=word_dropout, feature_dropout=feature_dropout)).train()


def test_padding_changes_no_word(model: Tagger) -> None:
    (ids,) = model.example_inputs(6)
    with torch.inference_mode():
        alone = model(ids)
        assert alone.shape == (1, 6, 5)
        longer = torch.cat([ids, torch.zeros(1, 10, ids.shape[2], dtype=torch.int32)], dim=1)
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
    ids[:, :, 2:4] = 0
    with torch.inference_mode():
        words = model.embedding(ids[:, :, :2]).sum(dim=2) / 2**0.5
        features = ids[:, :, :4]
        again = model.embedding(features).sum(dim=2) / (features != 0).sum(dim=2, keepdim=True).sqrt()
        assert torch.allclose(words, again)
        assert torch.isfinite(model(torch.zeros_like(ids))).all()


def test_only_a_random_field_has_transitions() -> None:
    config = TaggerConfig(50, features=4, classes=5, width=12, hidden=8)
    assert not hasattr(Tagger(config), "transitions")
    assert Tagger(TaggerConfig(50, 4, 5, 12, 8, crf=True)).transitions.shape == (5, 5)


def test_the_letters_of_a_word_are_convolved_as_if_it_stood_alone() -> None:
    torch.manual_seed(0)
    cnn = CharacterCNN(width=6, filters=9)
    alone = nn.Conv1d(6, 9, 3, padding=1)
    alone.load_state_dict(cnn.convolution.state_dict())
    ids = torch.randint(1, CHARACTER_ROWS, (2, 4, 7), dtype=torch.int32)
    lengths = torch.tensor([[7, 1, 2, 6], [3, 7, 0, 0]])
    ids[torch.arange(7) >= lengths.unsqueeze(2)] = 0
    with torch.inference_mode():
        found = cnn(ids)
        assert found.shape == (2, 4, 9)
        for text in range(2):
            for place, length in enumerate(lengths[text]):
                word = cnn.embedding(ids[text, place, :length]).T.unsqueeze(0)  # (1, 6, length)
                wanted = F.relu(alone(word)).amax(dim=2)[0] if length else torch.zeros(9)
                assert torch.allclose(found[text, place], wanted, atol=1e-6)


def test_room_for_longer_words_changes_nothing() -> None:
    torch.manual_seed(0)
    cnn = CharacterCNN(width=6, filters=9)
    ids = torch.randint(1, CHARACTER_ROWS, (1, 4, 7), dtype=torch.int32)
    with torch.inference_mode():
        assert torch.allclose(cnn(F.pad(ids, (0, 5))), cnn(ids), atol=1e-6)


def test_a_word_that_training_leaves_out_shows_no_letters_either() -> None:
    (ids,) = in_training(0.0, 0.0).example_inputs(4)
    other = ids.clone()
    other[:, :, 2:] += 7
    with torch.inference_mode():
        for share in (0.0, 1.0):
            model = in_training(share, 0.0)
            assert torch.equal(model(ids), model(other)) == (share == 1.0)


def test_features_that_training_leaves_out_are_no_letters() -> None:
    model = in_training(0.0, 1.0)
    (ids,) = model.example_inputs(4)
    features, letters = ids.clone(), ids.clone()
    features[:, :, :2] += 3
    letters[:, :, 2:] += 7
    with torch.inference_mode():
        assert torch.equal(model(ids), model(features))
        assert not torch.allclose(model(ids), model(letters))


def test_without_characters_the_model_is_as_it_was() -> None:
    model = Tagger(TaggerConfig(50, features=4, classes=5, width=12, hidden=8))
    assert not [name for name, _ in model.named_parameters() if name.startswith("characters")]
    assert model.methods((8,))[0].inputs[0].shape == ("batch", "length", 4)
