"""The encoder: torch's own layers give the same numbers, padding changes nothing, position counts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.models.encoder import Encoder, EncoderConfig

SMALL = {"vocab_size": 50, "classes": 3, "width": 16, "heads": 4, "feedforward": 24, "positions": 24}


@pytest.fixture(params=[True, False], ids=["norm first", "BERT's order"])
def model(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    made = Encoder(EncoderConfig(**SMALL, norm_first=request.param)).eval()  # type: ignore[arg-type]
    with torch.no_grad():  # norms and biases that are not 1 and 0
        for value in made.parameters():
            value.add_(0.1 * torch.randn_like(value))
        made.embedding.weight[0] = 0
    return made


def reference(model: Encoder, ids: Tensor) -> Tensor:
    """The same encoder out of torch's nn.TransformerEncoderLayer, on ids (B, T) padded at the end."""
    config = model.config
    x = model.embedding(ids) + model.position[: ids.shape[1]]
    x = x if config.norm_first else model.norm(x)
    layer: Any
    for layer in model.layers:
        theirs = nn.TransformerEncoderLayer(
            *(config.width, config.heads, config.feedforward, 0.0, F.gelu, config.norm_epsilon),
            batch_first=True,
            norm_first=config.norm_first,
        )
        parts = [layer.attention.query, layer.attention.key, layer.attention.value]
        scales = [(config.width // config.heads) ** 0.5, 1.0, 1.0]  # torch divides the scores itself
        state = {
            "self_attn.in_proj_weight": torch.cat([part.weight * s for part, s in zip(parts, scales, strict=True)]),
            "self_attn.in_proj_bias": torch.cat([part.bias * s for part, s in zip(parts, scales, strict=True)]),
        }
        for ours, name in [
            *((layer.attention.output, "self_attn.out_proj"), (layer.up, "linear1"), (layer.down, "linear2")),
            *((layer.attention_norm, "norm1"), (layer.feedforward_norm, "norm2")),
        ]:
            if ours.weight is not None:
                state |= {f"{name}.weight": ours.weight, f"{name}.bias": ours.bias}
            else:  # no scale and no shift
                state |= {f"{name}.weight": torch.ones(config.width), f"{name}.bias": torch.zeros(config.width)}
        theirs.load_state_dict(state)
        x = theirs.eval()(x, src_key_padding_mask=ids == 0)
    x = model.norm(x) if config.norm_first else x
    return torch.stack([model.head(row[given != 0].mean(dim=0)) for row, given in zip(x, ids, strict=True)])


def test_torchs_own_layers_give_the_same_scores(model: Encoder) -> None:
    (ids,) = model.example_inputs(12, batch=3)
    ids[1, 7:] = ids[2, 1:] = 0
    with torch.no_grad():
        assert torch.allclose(model(ids), reference(model, ids), atol=1e-5)


def test_padding_does_not_change_the_scores(model: Encoder) -> None:
    (ids,) = model.example_inputs(5)
    with torch.inference_mode():
        for more in (1, 3, 19):
            assert torch.allclose(model(F.pad(ids, (0, more))), model(ids), atol=1e-6)


def test_what_stands_in_the_row_of_padding_does_not_matter(model: Encoder) -> None:
    (ids,) = model.example_inputs(5)
    padded = F.pad(ids, (0, 4))
    with torch.inference_mode():
        before = model(padded)
        model.embedding.weight[0] = 7.0
        model.position[5:] = -7.0
        assert torch.allclose(model(padded), before, atol=1e-6)


def test_a_text_of_padding_gives_the_bias(model: Encoder) -> None:
    with torch.inference_mode():
        assert torch.equal(model(torch.zeros(2, 8, dtype=torch.int32)), model.head.bias.expand(2, -1))


def test_the_order_of_tokens_counts(model: Encoder) -> None:
    (ids,) = model.example_inputs(6)
    with torch.inference_mode():
        assert not torch.allclose(model(ids), model(ids.flip(1)), atol=1e-3)


def test_a_width_that_the_heads_do_not_divide_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="multiple of the heads"):
        Encoder(EncoderConfig(width=10, heads=4))
