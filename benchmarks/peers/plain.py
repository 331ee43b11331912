"""What the three plain exports share: our checkpoint, our tokenizer, one fixed length, float weights, argmax.

Each is what a user writes after a look at the runtime's own page: its example with its default settings, but for the
number of threads, which is that of the run for all that is timed.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewright.benchmarks.peers import LABELS, read_labels
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_json
from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import DamagedFileError

TOKENIZER, SETTINGS = "tokenizer.json", "settings.json"


@dataclass(frozen=True)
class PlainPeer:
    """run: (1, length[, K]) int32 → (1, C) scores."""

    tokenizer: Tokenizer
    length: int
    run: Callable[[NDArray[np.int32]], np.ndarray]

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.label(text) for text in texts], np.int64)

    def label(self, text: str) -> int:
        ids = self.tokenizer.encode(text, limit=self.length)
        return int(self.run(tokenizers.pad(ids, self.length)).argmax())


def write_rest(tokenizer: Path, length: int, names: Sequence[str], folder: Path) -> None:
    """The files beside the exported one."""
    shutil.copyfile(tokenizer, folder / TOKENIZER)
    write_json(folder / SETTINGS, {"length": length})
    write_json(folder / LABELS, list(names))


def read_rest(folder: Path) -> tuple[Tokenizer, int]:
    """The tokenizer and the length."""
    read_labels(folder)
    settings = read_json(folder / SETTINGS)
    if not isinstance(settings, dict) or not isinstance(settings.get("length"), int):
        raise DamagedFileError(f"{folder / SETTINGS}: does not say the length; make the peer anew")
    return tokenizers.load(folder / TOKENIZER), settings["length"]


def damaged(path: Path, error: Exception) -> DamagedFileError:
    """The error for what a runtime raised when it opened a file."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DamagedFileError(f"{path}: cannot be loaded ({reason}); make the peer anew")
