"""Signals, characters and log lines one by one, in any runtime: a loaded `step`, with its state kept between calls.

Shapes: I inputs, O outputs, V characters of the vocabulary, T positions.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.data.characters import UNKNOWN, Characters
from edgewright.data.log_features import BUCKETS, LogReader
from edgewright.data.sampling import PADDING, Sampling, allowed, choose, log_softmax, streams
from edgewright.data.sequence_rows import line_inputs, line_outputs, line_surprise, one_hot
from edgewright.data.tokenizer import special_id
from edgewright.errors import DamagedFileError, UsageError
from edgewright.runtimes import Runner, opening
from edgewright.runtimes.bundle import Bundle

MOST_THREADS = 10_000  # whose state is kept; the one that was silent longest is forgotten first


class SequenceStream:
    """A loaded artifact with the method `step`: one position in, one out.

    state: what the last step gave, and the next one takes; zeros at first. It may be kept and set.
    """

    def __init__(self, runner: Runner, states: Sequence[tuple[int, ...]]) -> None:
        self.runner = runner
        self._zeros = tuple(np.zeros(shape, np.float32) for shape in states)
        self.state = self._zeros

    def feed(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output (O,) after the input (I,); a ValueError where it has another size or type."""
        y, *state = self.runner.run(x[None], *self.state, method="step")
        self.state = tuple(state)
        found: NDArray[np.float32] = y[0]
        return found

    def reset(self) -> None:
        """Begin a new sequence."""
        self.state = self._zeros

    def steps(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs (T, O) of a new sequence of inputs (T, I)."""
        self.reset()
        return np.stack([self.feed(x) for x in inputs])


@dataclass(frozen=True)
class Likely:
    """A character that may come next; a line end is one."""

    character: str
    probability: float


class CharacterStream:
    """A model of text: the scores of the next character, and text that it writes."""

    def __init__(self, stream: SequenceStream, tokenizer: Characters) -> None:
        self.stream = stream
        self.tokenizer = tokenizer
        self.end = special_id(tokenizer, "end")
        self._scores: NDArray[np.float32] | None = None

    def reset(self) -> None:
        """Forget the text."""
        self.stream.reset()
        self._scores = None

    def next(self, character: str) -> NDArray[np.float32]:
        """The scores (V,) of what follows, before softmax, after one more character, or more; "" is a new line."""
        ids = self.tokenizer.encode(character)
        for token in ids if character else [self.end]:
            self._scores = self._feed(int(token))
        return self._feed(self.end) if self._scores is None else self._scores

    def read(self, text: str) -> NDArray[np.float64]:
        """The surprise (T,) of each character of `text` in nats, after all before it; "\\n" is a line end.

        NaN where the vocabulary lacks the character: no model can say which one comes.
        """
        scores = self.next("") if self._scores is None else self._scores
        found = []
        for number, line in enumerate(text.split("\n")):
            for token in [*([self.end] if number else []), *self.tokenizer.encode(line).tolist()]:
                surprise = -log_softmax(scores.astype(np.float64))[token]
                found.append(np.nan if token <= UNKNOWN else surprise)
                scores = self._scores = self._feed(token)
        return np.array(found)

    def likeliest(self, count: int) -> list[Likely]:
        """What comes next, the likeliest first: at most so many characters."""
        scores = self.next("") if self._scores is None else self._scores
        shares = np.exp(log_softmax(scores.astype(np.float64)))
        order = [int(token) for token in np.argsort(-shares, kind="stable") if token > UNKNOWN]
        return [
            Likely("\n" if token == self.end else self.tokenizer.decode([token]), float(shares[token]))
            for token in order[:count]
        ]

    def write(self, prompt: str = "", length: int = 200, temperature: float = 0.7, seed: int | None = None) -> str:
        """What the model writes behind `prompt`, which is the begin of a line: `length` characters, line ends too.

        Args:
            temperature: 0 always takes the likeliest character.
            seed: of what is drawn; None: other texts each time.

        Raises:
            UsageError: the length, the temperature or the seed is out of its range.
        """
        if length < 0:
            raise UsageError(f"length is {length}; it must be 0 or more")
        sampling, randoms = Sampling(temperature), streams(1, seed)
        self.reset()
        scores = self.next("")
        if prompt:
            scores = self.next(prompt)
        written = []
        for _ in range(length):
            token = int(choose(allowed(scores[None], [[]], 1.0, (PADDING, UNKNOWN)), sampling, randoms)[0])
            written.append("\n" if token == self.end else self.tokenizer.decode([token]))
            scores = self._feed(token)
        self._scores = scores
        return "".join(written)

    def replay(self, text: str) -> tuple[list[int], NDArray[np.float32]]:
        """What a golden vector holds: the ids (T,) of a text, and the scores (T, V) after each."""
        ids = self.tokenizer.encode(text)
        return ids.tolist(), self.stream.steps(one_hot(ids, self.tokenizer.vocab_size))

    def inputs(self, text: str) -> NDArray[np.float32]:
        """(T, V): what `forward` takes."""
        return one_hot(self.tokenizer.encode(text), self.tokenizer.vocab_size)

    def _feed(self, token: int) -> NDArray[np.float32]:
        return self.stream.feed(one_hot(np.array(token), self.tokenizer.vocab_size))


class LogStream:
    """A model of a log: how anomalous each line is, given the lines before it in its thread."""

    def __init__(self, stream: SequenceStream, buckets: int = BUCKETS) -> None:
        self.stream = stream
        self.buckets = buckets
        stream.reset()
        first = stream.feed(np.zeros(line_inputs(buckets), np.float32))  # what the model expects of a thread's first
        self._start = (first, stream.state)
        self.reset()

    def reset(self) -> None:
        """Begin a new log."""
        self._reader = LogReader(self.buckets)
        self._threads: OrderedDict[str, tuple[NDArray[np.float32], tuple[np.ndarray, ...]]] = OrderedDict()

    def score(self, line: str) -> float:
        """The surprise of the next line in nats, higher for a more anomalous one. It may be negative.

        Raises:
            DataError: it is not of the form "TIME LEVEL COMPONENT MESSAGE", TIME in ISO 8601.
        """
        return self._read(line)[0]

    def replay(self, text: str) -> tuple[list[int], NDArray[np.float32]]:
        """What a golden vector holds, of lines: the template of each, and the outputs (T, O) after it."""
        self.reset()
        read = [self._read(line) for line in text.split("\n")]
        return [int(values[: self.buckets].argmax()) for _, values, _ in read], np.stack([y for _, _, y in read])

    def inputs(self, text: str) -> NDArray[np.float32]:
        """(T, I): what `forward` takes, the lines of all threads one after the other."""
        reader = LogReader(self.buckets)
        return np.stack([reader.read(line)[0] for line in text.split("\n")])

    def _read(self, line: str) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """The line's surprise, its values, and the outputs after it."""
        values, thread = self._reader.read(line)
        expected, self.stream.state = self._threads.pop(thread, self._start)
        surprise = float(line_surprise(expected, values, self.buckets))
        after = self.stream.feed(values)
        self._threads[thread] = (after, self.stream.state)
        if len(self._threads) > MOST_THREADS:
            self._threads.popitem(last=False)
        return surprise, values, after


Stream = SequenceStream | CharacterStream | LogStream


def open_stream(
    bundle: str | Path | Bundle, runtime: str | None = None, numerics: str | None = None, threads: int = 1
) -> Stream:
    """A ready stream for a bundle of kind "sequence", of what it reads; the arguments are those of `open_predictor`.

    Raises:
        UsageError: no such bundle, runtime or numerics, or the bundle's task is of another kind.
        DamagedFileError: its step is not that of a model that reads what the bundle says.
    """
    opened, _, artifact = opening.choose(bundle, "sequence", runtime, numerics)
    return stream_of(opened, opened.runner(artifact, threads))


def stream_of(bundle: Bundle, runner: Runner) -> Stream:
    """The stream of a bundle over one of its artifacts that is loaded.

    Raises:
        DamagedFileError: as `open_stream`.
    """
    try:
        inputs, outputs, states = _shapes(bundle.manifest["methods"])
        stream = SequenceStream(runner, states)
        reads = bundle.manifest["postprocess"].get("reads")
        if reads == "characters":
            tokenizer = bundle.tokenizer()
            if not isinstance(tokenizer, Characters) or not inputs == outputs == tokenizer.vocab_size:
                raise ValueError("its tokenizer is not of its characters")
            return CharacterStream(stream, tokenizer)
        if reads == "log_lines":
            if inputs != line_inputs(BUCKETS) or outputs != line_outputs(BUCKETS):
                raise ValueError(f"its step takes {inputs} numbers, log lines have {line_inputs(BUCKETS)}")
            return LogStream(stream)
    except ValueError as error:
        raise DamagedFileError(f"{bundle.path}: {error}; get the bundle anew") from error
    return stream


def _shapes(methods: Sequence[Mapping[str, Any]]) -> tuple[int, int, list[tuple[int, ...]]]:
    """I, O and the shapes of the state, from the methods as a manifest lists them."""
    step = next((method for method in methods if method["name"] == "step"), None)
    if step is None:
        raise ValueError("it has no method 'step'")
    sizes = {tensor["name"]: tensor["shape"] for tensor in step["inputs"]}
    befores = [before for before, _ in step["state"]]
    if list(sizes)[1:] != befores or not set(befores) <= set(sizes):
        raise ValueError(f"its step takes {', '.join(sizes)}; it should take one input and its state")
    states = [tuple(1 if size == "batch" else size for size in sizes[name]) for name in befores]
    return next(iter(sizes.values()))[-1], step["outputs"][0]["shape"][-1], states
