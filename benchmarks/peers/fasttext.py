"""fastText: a bag of word and word-pair vectors under a linear classifier, with its own compressed form.

Source: Joulin et al. 2016, https://arxiv.org/abs/1607.01759 and https://arxiv.org/abs/1612.03651. The settings are
those of its tutorial (learning rate 1, 25 epochs, word pairs, 50 dimensions, lower-case text with punctuation apart);
whether character n-grams are used is chosen on validation. Its Python package was archived in 2024 and builds from
source; its `predict` fails with NumPy 2, so the function of the binding that it wraps is called.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from edgewright.benchmarks.peers import LABELS, Rows, read_labels
from edgewright.data.files import write_json
from edgewright.errors import DamagedFileError, EdgewrightError

PLAIN, QUANTIZED = "model.bin", "model.ftz"
SETTINGS: dict[str, Any] = {
    "lr": 1.0,
    "epoch": 25,
    "wordNgrams": 2,
    "dim": 50,
    "loss": "softmax",
    "thread": 1,  # several threads give another model each time
    "seed": 0,
    "verbose": 0,
}
BUCKETS = 200_000  # rows that word pairs and character n-grams are hashed into
CHARACTERS = ((0, 0), (2, 5))  # lengths of character n-grams, tried in turn; (0, 0): none
CUTOFF = 20_000  # features that the compressed form keeps: about 1 MB, the size that ours is held to
_PUNCTUATION = re.compile(r"([.!?,'/()])")
_LABEL = "__label__"


class FasttextPeer:
    """A loaded model."""

    def __init__(self, model: Any) -> None:
        # what FastText.predict calls; that method itself ends in np.array(..., copy=False), which NumPy 2 refuses
        self._predict = model.f.predict

    def labels(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.label(text) for text in texts], np.int64)

    def label(self, text: str) -> int:
        found = self._predict(_line(text) + "\n", 1, 0.0, "strict")
        return int(found[0][1][len(_LABEL) :]) if found else 0  # nothing is found in an empty text


def fit(
    training: Rows,
    validation: Rows,
    names: Sequence[str],
    folder: Path,
    quantized: bool = False,
    buckets: int = BUCKETS,
) -> None:
    """Fill `folder` with the model and the labels; `quantized`: the compressed form, trained on after the cut."""
    with tempfile.TemporaryDirectory() as scratch:  # fastText learns from a file; the texts do not stay
        lines, path = Path(scratch) / "training.txt", Path(scratch) / "model"
        pairs = zip(training.labels, training.texts, strict=True)
        lines.write_text("".join(f"{_LABEL}{label} {_line(text)}\n" for label, text in pairs), encoding="utf-8")
        best, best_right = CHARACTERS[0], -1
        for characters in CHARACTERS:
            _train_apart(lines, characters, buckets, False, path)
            answers = FasttextPeer(fasttext.load_model(str(path))).labels(validation.texts)
            right = int((answers == validation.labels).sum())
            if right > best_right:
                best, best_right = characters, right
        if quantized or best != characters:  # else the last one is the best one
            _train_apart(lines, best, buckets, quantized, path)
        shutil.copyfile(path, folder / (QUANTIZED if quantized else PLAIN))
    write_json(folder / LABELS, list(names))


def _train_apart(lines: Path, characters: tuple[int, int], buckets: int, quantized: bool, path: Path) -> None:
    """Train in a new process: with one thread fastText fills a tenth of its table and leaves the rest as the memory
    was (its issue 1061): zeros in a new process, in an old one whatever was there, up to NaN."""
    given = [str(lines), *map(str, characters), str(buckets), str(int(quantized)), str(path)]
    command = [sys.executable, "-m", "edgewright.benchmarks.peers.fasttext", *given]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EdgewrightError(f"fastText ended with exit code {done.returncode}: {done.stderr.strip()[-200:]}")


def _train(lines: str, shortest: int, longest: int, buckets: int, quantized: bool, path: str) -> None:
    model = fasttext.train_supervised(lines, minn=shortest, maxn=longest, bucket=buckets, **SETTINGS)
    if quantized:
        # as its documentation does: norms apart, trained on after the cut
        model.quantize(input=lines, qnorm=True, retrain=True, cutoff=CUTOFF, epoch=25, lr=1.0, thread=1)
    model.save_model(path)


def load(folder: Path, threads: int = 1) -> FasttextPeer:
    """What `fit` left; fastText predicts with one thread whatever `threads` says."""
    read_labels(folder)
    path = next((folder / name for name in (PLAIN, QUANTIZED) if (folder / name).is_file()), None)
    if path is None:
        raise DamagedFileError(f"{folder}: holds no fastText model; make it anew")
    try:
        return FasttextPeer(fasttext.load_model(str(path)))
    except (ValueError, RuntimeError) as error:
        raise DamagedFileError(f"{path}: fastText cannot load it ({error}); make it anew") from error


def _line(text: str) -> str:
    """Lower-case, punctuation apart, one line: what fastText's tutorial does to its texts."""
    return " ".join(_PUNCTUATION.sub(r" \1 ", text.lower()).split())


if __name__ == "__main__":
    _lines, *_numbers, _path = sys.argv[1:]
    _shortest, _longest, _buckets, _quantized = map(int, _numbers)
    _train(_lines, _shortest, _longest, _buckets, bool(_quantized), _path)
