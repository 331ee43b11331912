"""Message in, reply out: tokenizer, `encode` once, `step` for each token, and the choice of tokens, in any runtime.

Files are made for one row, so rows and beams are run one by one, each with caches of its own.
Shapes: S prompt tokens, L layers, D width, N heads, M room for tokens, W width of a head, V vocabulary.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.characters import Characters
from edgewright.data.decoding import Decoded, decode, steps
from edgewright.data.dialogues import prompt_ids
from edgewright.data.sampling import PADDING, Sampling
from edgewright.data.text import REPLACEMENT
from edgewright.data.tokenizer import Writing, special_id
from edgewright.data.wordpiece import WordPiece
from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes import Runner
from edgewright.runtimes.answers import pad_to_bucket
from edgewright.runtimes.bundle import Bundle
from edgewright.runtimes.opening import choose, opened_bundle

FRESH = ["token", "position", "crossed"]  # the inputs of a step before its caches; `encode` gives the last one
GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Shapes:
    """What a generator must know of a file. lengths: the buckets of `encode`, ascending. caches: (1, N, M, W) each."""

    lengths: tuple[int, ...]
    caches: tuple[tuple[int, ...], ...]
    vocabulary: int

    @property
    def room(self) -> int:
        """M: the most tokens that a reply can have."""
        return self.caches[0][2]

    @property
    def cache_bytes(self) -> int:
        """Of one row, float32."""
        return sum(4 * int(np.prod(cache)) for cache in self.caches)


@dataclass(frozen=True)
class Statistics:
    """Of one call. first_token_ms: from the message to the scores of the first token.

    tokens_per_second: of the tokens after the first one, over all rows; None where there is none.
    cache_bytes: the caches of all rows, or of all beams.
    """

    prompt_tokens: int
    tokens: int
    first_token_ms: float
    tokens_per_second: float | None
    cache_bytes: int


@dataclass(frozen=True)
class Reply:
    """score: the logarithm of the probability that the model gives to the reply, its end included.

    ended: the reply came to its end by itself; else it was cut at `max_length`.
    """

    text: str
    ids: tuple[int, ...]
    score: float
    ended: bool
    statistics: Statistics


class Generator:
    """A loaded artifact with the methods `encode` and `step`, and a tokenizer with the specials "start" and "end"."""

    def __init__(
        self, runner: Runner, shapes: Shapes, tokenizer: Writing, runtime: str = "", numerics: str = ""
    ) -> None:
        self.runner = runner
        self.shapes = shapes
        self.tokenizer = tokenizer
        self.runtime = runtime
        self.numerics = numerics
        self.start = special_id(tokenizer, "start")
        self.end = special_id(tokenizer, "end")

    def generate(
        self,
        prompts: Sequence[NDArray[np.int32]],
        max_length: int | None = None,
        sampling: Sampling = GREEDY,
        beams: int = 1,
        seed: int | None = None,
    ) -> tuple[Decoded, Statistics]:
        """Ids in, ids out: one reply for each prompt (S,); of a prompt longer than the largest bucket the end counts.

        Raises:
            UsageError: `max_length` is more than the caches have room for, or another setting is out of its range.
        """
        return self._generate(prompts, max_length, sampling, beams, seed, time.perf_counter())

    def generate_reply(
        self,
        message: str,
        context: str | Sequence[str] | None = None,
        max_length: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 0.0,
        beams: int = 1,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
    ) -> Reply:
        """The reply to a message; `context`, what was said before it, is prefixed as text.

        Args:
            context: one turn or several, the oldest first. What is too long for the model loses its oldest part.
            max_length: the most tokens; None: as many as the model has room for.
            temperature: 0 always takes the best token, so the same message gets the same reply.

        Raises:
            UsageError: the message is no str, or a setting is out of its range.
        """
        began = time.perf_counter()
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
        prompt = self._prompt(message, context)
        decoded, statistics = self._generate([prompt], max_length, sampling, beams, seed, began)
        ids = tuple(int(token) for token in decoded.ids[0])
        ended = self.end in ids
        return Reply(self.tokenizer.decode(ids).strip(), ids, float(decoded.scores[0]), ended, statistics)

    def stream(
        self,
        message: str,
        context: str | Sequence[str] | None = None,
        max_length: int | None = None,
        sampling: Sampling = GREEDY,
        seed: int | None = None,
    ) -> Iterator[str]:
        """The parts of a reply as they are written; together they are its text.

        Raises:
            UsageError: as `generate_reply`.
        """
        longest = self._longest(max_length)
        behind = RunnerSteps(self.runner, self.shapes, [self._prompt(message, context)])
        ids: list[int] = []
        shown = ""
        for tokens, _ in steps(behind, 1, self.start, self.end, longest, sampling, seed):
            ids.append(int(tokens[0]))
            text = self.tokenizer.decode(ids).strip()
            # a token can end within a character: what later bytes may complete waits
            if text.startswith(shown) and not text.endswith(REPLACEMENT):
                yield text[len(shown) :]
                shown = text
        if left := self.tokenizer.decode(ids).strip()[len(shown) :]:
            yield left

    def _generate(
        self,
        prompts: Sequence[NDArray[np.int32]],
        max_length: int | None,
        sampling: Sampling,
        beams: int,
        seed: int | None,
        began: float,
    ) -> tuple[Decoded, Statistics]:
        longest = self._longest(max_length)
        behind = RunnerSteps(self.runner, self.shapes, prompts)
        decoded = decode(behind, len(prompts), self.start, self.end, longest, sampling, beams, seed)
        seconds = time.perf_counter() - behind.first
        later = int((decoded.ids[:, 1:] != PADDING).sum())
        return decoded, Statistics(
            prompt_tokens=sum(map(len, prompts)),
            tokens=int((decoded.ids != PADDING).sum()),
            first_token_ms=(behind.first - began) * 1e3,
            tokens_per_second=later / seconds if later else None,
            cache_bytes=self.shapes.cache_bytes * len(prompts) * beams,
        )

    def _prompt(self, message: str, context: str | Sequence[str] | None) -> NDArray[np.int32]:
        if not isinstance(message, str):
            raise UsageError(f"generate_reply takes a text (str), not {type(message).__name__}")
        return prompt_ids(self.tokenizer, message, context, self.shapes.lengths[-1])

    def _longest(self, asked: int | None) -> int:
        room = self.shapes.room
        if asked is not None and not 1 <= asked <= room:
            raise UsageError(f"max_length is {asked}; this model writes 1 to {room} tokens")
        return room if asked is None else asked


class RunnerSteps:
    """A runner behind its prompts, as data/decoding.py takes it. Each row has arrays of its own.

    first: when the scores of the first token of every row were there, on the clock of `time.perf_counter`.
    """

    def __init__(self, runner: Runner, shapes: Shapes, prompts: Sequence[NDArray[np.int32]]) -> None:
        self.first = 0.0
        self._runner = runner
        self._vocabulary = shapes.vocabulary
        longest = shapes.lengths[-1]
        empty = [np.zeros(cache, np.float32) for cache in shapes.caches]
        self._rows: list[list[np.ndarray]] = [
            [runner.run(pad_to_bucket(ids[-longest:], shapes.lengths), method="encode")[0], *empty] for ids in prompts
        ]

    def step(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """(B, V) scores after `tokens` (B, 1); 0 in rows that are at their end, which are not run."""
        scores = np.zeros((len(tokens), self._vocabulary), np.float32)
        at = np.array([position], np.int32)
        for row, token in enumerate(tokens):
            if token[0] == PADDING:
                continue
            crossed, *caches = self._rows[row]
            given, *caches = self._runner.run(token.reshape(1, 1), at, crossed, *caches, method="step")
            scores[row] = given[0]
            self._rows[row] = [crossed, *caches]
        if position == 0:
            self.first = time.perf_counter()
        return scores

    def reorder(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows. No array is copied: a step makes new ones and leaves those it was given."""
        self._rows = [self._rows[row] for row in rows]


def shapes_of(methods: Sequence[Mapping[str, Any]]) -> Shapes:
    """The shapes from the methods as a manifest lists them, or as `asdict` of models/methods.py gives them.

    Raises:
        ValueError: they are not those of a model that writes replies.
    """
    named = {method["name"]: method for method in methods}
    if not {"encode", "step"} <= set(named):
        raise ValueError(f"it has the methods {', '.join(named)}; a model that writes replies has encode and step")
    step = named["step"]
    inputs = {tensor["name"]: tensor["shape"] for tensor in step["inputs"]}
    outputs = {tensor["name"]: tensor["shape"] for tensor in step["outputs"]}
    befores, afters = [before for before, _ in step["state"]], [after for _, after in step["state"]]
    if list(inputs) != FRESH + befores or list(outputs)[1:] != afters or not befores:
        raise ValueError(f"its step takes {', '.join(inputs)}; it should take {', '.join(FRESH)} and its state")
    caches = [tuple(1 if size == "batch" else size for size in inputs[name]) for name in befores]
    if any(len(cache) != 4 or cache[2] != caches[0][2] for cache in caches):
        raise ValueError(f"its caches have the shapes {caches}; they should be (1, heads, room, width)")
    return Shapes(tuple(sorted(named["encode"]["lengths"])), tuple(caches), next(iter(outputs.values()))[1])


def open_generator(
    bundle: str | Path | Bundle, runtime: str | None = None, numerics: str | None = None, threads: int = 1
) -> Generator:
    """A ready generator for a bundle of kind "generation"; the arguments are those of `open_predictor`.

    Raises:
        UsageError: no such bundle, runtime or numerics, or the bundle's task is of another kind.
        DamagedFileError: its methods or its tokenizer are not those of a model that writes replies.
    """
    opened = opened_bundle(bundle)
    if opened.kind != "generation":
        raise UsageError(f"{opened.path}: a bundle of kind '{opened.kind}' writes no replies; use edgewright predict")
    _, chosen, artifact = choose(opened, "generation", runtime, numerics)
    return generator_of(opened, opened.runner(artifact, threads), chosen, artifact.numerics)


def generator_of(bundle: Bundle, runner: Runner, runtime: str, numerics: str) -> Generator:
    """The generator of a bundle over an artifact that is loaded already.

    Raises:
        DamagedFileError: the bundle's methods or its tokenizer are not those of a model that writes replies.
    """
    tokenizer = bundle.tokenizer()
    if not isinstance(tokenizer, ByteBPE | Characters | WordPiece):
        raise DamagedFileError(
            f"{bundle.path}/tokenizer.json: {tokenizer.kind} gives no text back; get the bundle anew"
        )
    try:
        return Generator(runner, shapes_of(bundle.manifest["methods"]), tokenizer, runtime, numerics)
    except ValueError as error:
        raise DamagedFileError(f"{bundle.path}: {error}; get the bundle anew") from error
