"""LayerNorm in a form that LiteRT's converter leaves as it is.

The converter folds a constant factor and a constant summand into the linear layers that read them, so that the file
would hold nobody's weights: not those of the model, and not on their grid. It does not look through a subtraction.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class SubtractingNorm(nn.Module):
    """What the norm computes, the same numbers; its factors are shared, not copied."""

    negated: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.shape, self.eps, self.weight = norm.normalized_shape, norm.eps, norm.weight
        self.register_buffer("negated", -norm.bias.detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, eps=self.eps) * self.weight - self.negated


def keep_apart(module: nn.Module) -> nn.Module:
    """`module` with each LayerNorm that has a factor in that form; changed in place."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.LayerNorm) and layer.elementwise_affine:
            module.set_submodule(name, SubtractingNorm(layer))
    return module
