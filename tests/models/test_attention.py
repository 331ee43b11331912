"""models/attention.py beside torch.nn.MultiheadAttention, with and without padding."""

import torch
from torch import nn

from edgewright.models.attention import FORBIDDEN, RowAt, SelfAttention, mean_of_real, only_real, place_of


def test_it_computes_what_torch_computes() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    with torch.no_grad():
        theirs.in_proj_bias.normal_()
    ours, x = SelfAttention.from_torch(theirs), torch.randn(2, 7, 12)
    real = torch.tensor([[1.0] * 7, [1.0] * 4 + [0.0] * 3])
    with torch.no_grad():
        wanted = theirs(x, x, x, key_padding_mask=real == 0)[0]
        assert torch.allclose(ours(x, only_real(real)), wanted, atol=1e-6)


def test_what_is_forbidden_has_no_share_at_all() -> None:
    scores = torch.tensor([50.0, -50.0 + FORBIDDEN, 3.0])
    assert torch.softmax(scores, 0)[1] == 0
    assert torch.isfinite(torch.tensor(FORBIDDEN, dtype=torch.float16))


def test_the_mean_leaves_padding_out_and_nothing_gives_zero() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    assert torch.equal(mean_of_real(x, torch.tensor([[1.0, 1, 0], [0, 0, 0]])), torch.tensor([[1.0, 2], [0, 0]]))


def test_steps_give_the_rows_of_the_whole_sequence_and_zero_behind_them() -> None:
    torch.manual_seed(1)
    layer, x, room = SelfAttention(12, 3), torch.randn(2, 5, 12), 7
    later = torch.ones(5, 5).triu(1) * FORBIDDEN
    keys, values = torch.randn(2, 2, 3, room, 4)  # what stood there before the first step counts for nothing
    with torch.no_grad():
        wanted = layer(x, later)
        for position in range(5):
            place = place_of(torch.tensor([position], dtype=torch.int32), torch.arange(float(room)))
            given, keys, values = layer.step(x[:, position : position + 1], keys, values, place)
            assert torch.allclose(given[:, 0], wanted[:, position], atol=1e-6)
            assert not keys[:, :, position + 1 :].any() and not values[:, :, position + 1 :].any()
        assert torch.allclose(keys[:, :, :5], layer.split(layer.key(x)), atol=1e-6)


def test_the_row_at_a_place_is_that_row_of_the_table() -> None:
    table = torch.randn(6, 3)
    for position in (0, 2, 5):
        place = place_of(torch.tensor([position], dtype=torch.int32), torch.arange(6.0))
        assert torch.equal(RowAt()(table, place), table[position : position + 1])
