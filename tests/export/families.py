"""Tiny models of every family, and inputs for their methods: what the matrix of test_families.py exports."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from edgewright.compress.numerics import TARGETS, Numerics, Target
from edgewright.compress.quantize import QUANTIZED
from edgewright.compress.sparsify import kept
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.models.lstm_attention import LSTMAttention, LSTMAttentionConfig
from edgewright.models.methods import Method
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig

INT4: dict[Target, Numerics] = {
    target: "weight_only_wi4_afp16" if target == "coreml" else "dynamic_wi4_afp32" for target in TARGETS
}
VOCABULARY = 61
LENGTHS = (5, 8)
HYBRID = HybridConfig(
    vocab_size=VOCABULARY,
    width=32,
    lstm_layers=2,
    lstm_hidden=16,
    attention_heads=2,
    layers=2,
    heads=4,
    feedforward=64,
    max_target=12,
)

FAMILIES: dict[str, Callable[[], Any]] = {
    "text_cnn": lambda: TextCNN(TextCNNConfig(VOCABULARY, classes=5, width=32, hidden=16)),
    "ngram_hybrid": lambda: NgramHybrid(
        NgramHybridConfig(VOCABULARY, features=4, classes=5, width=32, hidden=16, bag_hidden=32)
    ),
    "sequence_net": lambda: SequenceNet(SequenceNetConfig()),
    "sequence_net_many_to_one": lambda: SequenceNet(SequenceNetConfig(10, 32, 7, many_to_one=True)),
    "lstm_attention": lambda: LSTMAttention(LSTMAttentionConfig(VOCABULARY, classes=5, width=32, hidden=32, heads=4)),
    "tagger_bilstm": lambda: Tagger(TaggerConfig(VOCABULARY, features=4, classes=5, width=32, hidden=16)),
    "tagger_dilated_cnn": lambda: Tagger(
        TaggerConfig(VOCABULARY, features=4, classes=5, width=32, hidden=16, encoder="dilated_cnn", characters=5)
    ),
    "encoder": lambda: Encoder(EncoderConfig(VOCABULARY, classes=5, width=32, feedforward=64, positions=16)),
    "encoder_norm_after": lambda: Encoder(
        EncoderConfig(VOCABULARY, classes=5, width=32, layers=1, feedforward=64, positions=16, norm_first=False)
    ),
    "hybrid": lambda: HybridRNNTransformer(HYBRID),
}


def build(family: str) -> Any:
    """The family's tiny model in evaluation mode, the same weights every time; no bias is 0 and no gain of a norm 1,
    which a converter may drop or fold."""
    torch.manual_seed(7)
    model = FAMILIES[family]().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.1)
            elif "norm" in name:
                parameter.uniform_(0.7, 1.4)
    return model


def with_zeros(model: Any, share: float = 0.75) -> Any:
    """A copy with that share of each layer's smallest weights at 0, as compress/sparsify.py leaves a model."""
    pruned = copy.deepcopy(model)
    with torch.no_grad():
        for layer in pruned.modules():
            if isinstance(layer, QUANTIZED):
                layer.weight.mul_(kept(layer.weight, share))
    return pruned


def inputs_of(method: Method, length: int | None, seed: int) -> tuple[np.ndarray, ...]:
    """Random inputs of one call; token ids end in padding, of a whole word, and of a row of ids in every other word."""
    random = np.random.default_rng(seed)
    arrays: list[np.ndarray] = []
    for tensor in method.inputs:
        shape = method.sizes(tensor, length)
        if tensor.dtype == "float32":
            arrays.append(random.normal(scale=0.5, size=shape).astype(np.float32))
        elif tensor.name == "position":
            arrays.append(np.array([3], np.int32))
        else:
            ids = random.integers(1, VOCABULARY, shape).astype(np.int32)
            if len(shape) > 2:
                ids[:, ::2, -2:] = 0
            if len(shape) > 1 and shape[1] > 2:
                ids[:, shape[1] - 1 - seed % 2 :] = 0
            arrays.append(ids)
    return tuple(arrays)
