"""The texts and inputs that worker processes read: files, because a request is one line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.data.files import write_atomically, write_text

Arrays = tuple[np.ndarray, ...]


def write_inputs(series: Mapping[str, Sequence[Arrays]], path: Path) -> Path:
    """Store the inputs of some calls for each series, and return `path`, which ends in .npz."""
    assert path.suffix == ".npz" and series and all(series.values())
    arrays: dict[str, Any] = {
        f"{name}|{i}|{j}": array
        for name, calls in series.items()
        for i, call in enumerate(calls)
        for j, array in enumerate(call)
    }
    write_atomically(path, lambda scratch: np.savez(scratch, **arrays))
    return path


def read_inputs(path: Path) -> dict[str, list[Arrays]]:
    """What `write_inputs` stored: array `series|i|j` is input j of the series' call i."""
    with np.load(path, allow_pickle=False) as stored:
        found: dict[str, dict[int, dict[int, np.ndarray]]] = {}
        for name in stored.files:
            series, i, j = name.rsplit("|", 2)
            found.setdefault(series, {}).setdefault(int(i), {})[int(j)] = stored[name]
    return {
        series: [tuple(arrays[j] for j in sorted(arrays)) for _, arrays in sorted(calls.items())]
        for series, calls in found.items()
    }


def write_texts(texts: Sequence[str], path: Path) -> Path:
    """Store texts, and return `path`; as ASCII, since a text may hold half a surrogate pair."""
    write_text(path, json.dumps(list(texts)))
    return path


def read_texts(path: Path) -> list[str]:
    """What `write_texts` stored."""
    return list(json.loads(path.read_text(encoding="utf-8")))
