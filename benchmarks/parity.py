"""Is it still the model that was trained? An artifact's answers beside PyTorch's, on rows, edge texts and padding."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgewright.runtimes import Runner

WORST = 10

# Texts that break tokenizers, padding and file readers; every artifact must answer each of them like PyTorch.
EDGE_TEXTS: dict[str, str] = {
    "empty": "",
    "one character": "a",
    "one space": " ",
    "over-long": " ".join(f"word{i}" for i in range(1000)),
    "one long word": "a" * 5000,
    "emoji": "server down 🔥🔥 call me 👩\u200d💻 now 🇫🇷 👍🏽",
    "right to left": "الخادم معطل، اتصل بي الآن",
    "right to left marks": "call \u202ebackwards\u202c me \u200fnow\u200e",
    "composed": unicodedata.normalize("NFC", "réunion annulée à Zürich"),
    "decomposed": unicodedata.normalize("NFD", "réunion annulée à Zürich"),
    "control characters": "call\x07 me\x1b[31m now\x08\x7f\r\n\tplease\x85",
    "NUL": "call\x00me\x00",
    "mixed scripts": "Привет team, 会議は tomorrow στις 10h à 서울",
    "lone marks": "\u0301\u0327 e\u0301\u0301\u0301",
    "outside the first plane": "𝐔𝐑𝐆𝐄𝐍𝐓 𐍈 𠜎",
    "digits and signs": "٣٤ + ½ = ② №7 €1.234,56",
}

# Largest difference of two logits, relative to the largest logit, that padding may cause: rounding of sums for floats;
# for int8 activations one step of a scale that depends on all positions.
PADDING_TOLERANCE = {"afp32": 1e-4, "fp32": 1e-4, "fp16": 1e-2, "afp16": 1e-2, "ai8": 2e-2, "dynamic": 2e-2}


@dataclass(frozen=True)
class Parity:
    """An artifact against the reference over N rows.

    label_agreement: share of rows with the same most probable class. The errors are |artifact - reference| over the
    rows whose logits are finite, None when there is none. worst_rows: row numbers, the largest error first, rows with
    a NaN or an infinity before all others.
    """

    n: int
    label_agreement: float
    max_abs_logit_error: float | None
    mean_abs_logit_error: float | None
    non_finite_rows: int
    worst_rows: tuple[int, ...]
    differing_rows: tuple[int, ...]


@dataclass(frozen=True)
class PaddingCheck:
    """The worst row: how far padding to `length` moved a logit, relative to the row's largest logit."""

    neutral: bool
    difference: float
    tolerance: float
    row: int
    length: int


def compare(logits: np.ndarray, reference: np.ndarray) -> Parity:
    """Two (N, C) arrays of logits of the same rows."""
    if logits.shape != reference.shape or not len(logits):
        raise ValueError(f"two arrays of one shape, with a row at least: {logits.shape} and {reference.shape}")
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(reference).all(axis=1)
    errors = np.abs(logits.astype(np.float64) - reference)
    same = finite & (logits.argmax(axis=1) == reference.argmax(axis=1))
    per_row = np.where(finite, errors.max(axis=1), np.inf)
    order = np.argsort(-per_row, kind="stable")
    return Parity(
        n=len(logits),
        label_agreement=float(same.mean()),
        max_abs_logit_error=float(per_row[finite].max()) if finite.any() else None,
        mean_abs_logit_error=float(errors[finite].mean()) if finite.any() else None,
        non_finite_rows=int((~finite).sum()),
        worst_rows=tuple(int(row) for row in order[:WORST] if per_row[row] > 0),
        differing_rows=tuple(int(row) for row in np.flatnonzero(~same)),
    )


def padding_neutrality(
    runner: Runner,
    rows: Sequence[np.ndarray],
    lengths: Sequence[int],
    numerics: str,
    method: str = "forward",
) -> PaddingCheck:
    """Pad each row to every longer bucket and compare with its own bucket.

    Args:
        rows: (1, T, ...) ids, T one of `lengths`; ids of 0 are padding.
        lengths: the buckets. With one bucket nothing can differ: it is neutral.
    """
    tolerance = padding_tolerance(numerics)
    worst = PaddingCheck(True, 0.0, tolerance, row=-1, length=max(lengths))
    for number, ids in enumerate(rows):
        shortest = _of_tokens(runner.run(ids, method=method)[0], ids)
        if not shortest.size:  # a tagger says nothing of an empty text
            continue
        scale = max(1.0, float(np.abs(shortest).max()))
        for length in sorted(length for length in lengths if length > ids.shape[1]):
            missing = [(0, 0), (0, length - ids.shape[1])] + [(0, 0)] * (ids.ndim - 2)
            padded = _of_tokens(runner.run(np.pad(ids, missing), method=method)[0], ids)
            difference = float(np.abs(padded.astype(np.float64) - shortest).max()) / scale
            if not difference <= worst.difference:  # NaN is the worst of all
                worst = PaddingCheck(difference <= tolerance, difference, tolerance, number, length)
                if np.isnan(difference):
                    return worst
    return worst


def _of_tokens(output: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The logits, or of a tagger's (1, T, C) scores those of real words: what stands at padding means nothing."""
    if output.ndim < 3:
        return output
    first = ids[0] if ids.ndim == 2 else ids[0, :, 0]
    return output[:, : ids.shape[1]][:, first != 0]


def padding_tolerance(numerics: str) -> float:
    """See PADDING_TOLERANCE; numerics go by their activations, unknown ones by the widest tolerance."""
    kind = "dynamic" if numerics.startswith("dynamic_") else numerics.rpartition("_")[2]
    return PADDING_TOLERANCE.get(kind, max(PADDING_TOLERANCE.values()))
