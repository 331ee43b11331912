"""A tiny pretrained model in BERT's layout, with random weights, as a folder."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from edgewright.models.pretrained import LAYER

PIECES = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "the", "server", "##s", "is", "down", "É", "e"]
SETTINGS: dict[str, Any] = {
    "vocab_size": len(PIECES),
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "model_type": "bert",
    "type_vocab_size": 2,
}


def write(folder: Path) -> Path:
    """Fill the folder with model.safetensors, config.json and vocab.txt; its own path."""
    torch.manual_seed(0)
    width, inner = 8, 12
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(PIECES), width),
        "embeddings.position_embeddings.weight": (16, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width),
    }
    shapes |= {f"embeddings.LayerNorm.{part}": (width,) for part in ("weight", "bias")}
    for layer in range(2):
        for theirs in LAYER.values():
            out, into = (inner, width) if theirs.startswith("intermediate") else (width, width)
            into = inner if theirs == "output.dense" else into
            shapes[f"encoder.layer.{layer}.{theirs}.weight"] = (width,) if theirs.endswith("Norm") else (out, into)
            shapes[f"encoder.layer.{layer}.{theirs}.bias"] = (out,)
    save_file({name: torch.randn(shape) for name, shape in shapes.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return folder
