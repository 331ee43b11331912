"""Model families, one per file: what it is, its source, a frozen config, the module.

To add one, write the file and add one line to MODELS. `zoo/` holds bundles that are ready to use.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.models.lstm_attention import LSTMAttention, LSTMAttentionConfig
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig

ONE_ID_A_TOKEN = ("wordpiece", "byte_bpe", "characters")


@dataclass(frozen=True)
class Family:
    module: Any  # (config) -> nn.Module with forward, methods(lengths), example_inputs(length, batch) and config
    config: Any  # frozen dataclass; a recipe's [model] table fills it
    kind: str  # of the tasks that it learns
    tokenizers: tuple[str, ...]  # kinds of tokenizer whose ids the graph takes; none where it takes no ids


MODELS: dict[str, Family] = {
    "text_cnn": Family(TextCNN, TextCNNConfig, "single_label", ONE_ID_A_TOKEN),
    "ngram_hybrid": Family(NgramHybrid, NgramHybridConfig, "single_label", ("hashed_ngrams",)),
    "lstm_attention": Family(LSTMAttention, LSTMAttentionConfig, "single_label", ONE_ID_A_TOKEN),
    "encoder": Family(Encoder, EncoderConfig, "single_label", ONE_ID_A_TOKEN),
    "tagger": Family(Tagger, TaggerConfig, "tags", ("hashed_ngrams",)),
    "sequence_net": Family(SequenceNet, SequenceNetConfig, "sequence", ()),
    "hybrid": Family(HybridRNNTransformer, HybridConfig, "generation", ("wordpiece", "byte_bpe")),
}


def parameters(model: nn.Module) -> int:
    """The number of trained parameters."""
    return sum(p.numel() for p in model.parameters())
