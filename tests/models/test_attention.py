"""models/attention.py beside torch.nn.MultiheadAttention, with and without padding."""

import torch
from torch import nn

from edgewright.models.attention import FORBIDDEN, SelfAttention, mean_of_real, only_real


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
