"""Text in, entities out: a tagger's scores, the best sequence of tags, and places and values in the original text."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.tags import Entity, entities
from edgewright.data.values import Language, normalise_value
from edgewright.data.viterbi import viterbi
from edgewright.data.words import words_with_offsets
from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes import Runner, Runtime
from edgewright.runtimes.answers import answers_of, pad_to_bucket
from edgewright.runtimes.bundle import Bundle


@dataclass(frozen=True)
class EntityEvent:
    """What `on_prediction` is told; it never holds the text. types: of the entities found, in their order."""

    types: tuple[str, ...]
    words: int


class EntityPredictor:
    """A bundle of kind "tags" with one loaded artifact."""

    def __init__(
        self,
        bundle: Bundle,
        runner: Runner,
        runtime: Runtime,
        numerics: str,
        on_prediction: Callable[[EntityEvent], None] | None = None,
    ) -> None:
        tokenizer = bundle.tokenizer()
        if not isinstance(tokenizer, HashedNgrams):
            raise DamagedFileError(f"{bundle.path}: a tagger needs a tokenizer of kind hashed_ngrams; get it anew")
        self.bundle = bundle
        self.runner = runner
        self.runtime = runtime
        self.numerics = numerics
        self.tokenizer = tokenizer
        self._on_prediction = on_prediction

    def encode(self, text: str) -> tuple[np.ndarray, ...]:
        """The graph's inputs for the text, or for its first window: one (1, bucket, K) int32 array."""
        return (pad_to_bucket(self.tokenizer.encode(text, limit=self.bundle.lengths[-1]), self.bundle.lengths),)

    def tags(self, text: str) -> list[str]:
        """The tag of each word; a word that the longest bucket cuts off has none."""
        return [self.bundle.labels[tag] for tag in self._decode(text)[0]]

    def predict(self, text: str, today: date | None = None, language: Language = "en") -> tuple[Entity, ...]:
        """The entities in their order, each with its place in `text`, its confidence and its value.

        Args:
            today: what "tomorrow" is relative to; by default the day of this machine.
            language: of dates, times and amounts, for their values.

        Raises:
            UsageError: `text` is no str.
        """
        if not isinstance(text, str):
            raise UsageError(f"predict takes a text (str), not {type(text).__name__}")
        path, sure = self._decode(text)
        _, offsets = words_with_offsets(text, self.tokenizer.normalisation)
        found = entities(text, offsets, [self.bundle.labels[tag] for tag in path], sure)
        if self._on_prediction is not None:
            self._on_prediction(EntityEvent(tuple(entity.type for entity in found), len(offsets)))
        day = today or date.today()
        return tuple(
            replace(entity, value=normalise_value(entity.type, entity.text, day, language)) for entity in found
        )

    def _decode(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """(T,) tags, and (T,) the calibrated probability of each."""
        scores = answers_of(text, self.tokenizer, self.bundle.lengths, self.runner).astype(np.float64)
        path = viterbi(scores, *self.bundle.decoding())
        scaled = scores / self.bundle.temperature
        scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
        shares = np.exp(scaled)
        return path, shares[np.arange(len(path)), path] / shares.sum(axis=1)
