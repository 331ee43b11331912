"""A dictionary that computes an entry when it is first asked for, and keeps a bounded number of them."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """`remembered[key]` is `compute(key)`; the first `most` keys asked for are kept with their values.

    Nothing is dropped again: what is frequent is met early, and a hostile text cannot make us keep more.
    """

    def __init__(self, compute: Callable[[K], V], most: int) -> None:
        super().__init__()
        self.compute = compute
        self.most = most

    def __missing__(self, key: K) -> V:
        value = self.compute(key)
        if len(self) < self.most:
            self[key] = value
        return value
