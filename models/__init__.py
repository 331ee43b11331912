"""Model families, one per file: what it is, its source, a frozen config, the module.

To add one, write the file and add one line to MODELS. `zoo/` holds bundles that are ready to use.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig


@dataclass(frozen=True)
class Family:
    module: Any  # (config) -> nn.Module with forward, example_inputs(length, batch) and config
    config: Any  # frozen dataclass; a recipe's [model] table fills it
    tokenizers: tuple[str, ...]  # kinds of tokenizer whose ids the graph takes


MODELS: dict[str, Family] = {
    "text_cnn": Family(TextCNN, TextCNNConfig, ("wordpiece", "byte_bpe")),
    "ngram_hybrid": Family(NgramHybrid, NgramHybridConfig, ("hashed_ngrams",)),
}


def parameters(model: nn.Module) -> int:
    """The number of trained parameters."""
    return sum(p.numel() for p in model.parameters())
