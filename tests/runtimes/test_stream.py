"""Streams: one position after the other gives what the whole sequence gives, for signals, characters and log lines."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgewright.data import log_lines
from edgewright.data.characters import Characters
from edgewright.data.log_features import BUCKETS, features, windows
from edgewright.data.sequence_rows import LogRows, by_line, line_inputs, line_outputs
from edgewright.errors import DataError, UsageError
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.runtimes import stream as streams
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.runtimes.stream import CharacterStream, LogStream, SequenceStream

TOKENIZER = Characters("abc", specials=("end",))
HIDDEN = 8


def steps(inputs: int, outputs: int) -> SequenceStream:
    torch.manual_seed(5)
    model = SequenceNet(SequenceNetConfig(inputs, HIDDEN, outputs)).eval()
    with torch.no_grad():  # untrained, it would say much the same of everything
        for parameter in model.parameters():
            parameter.mul_(3)
    return SequenceStream(PyTorchRunner(model), [(1, HIDDEN)] * 2)


@pytest.fixture
def characters() -> CharacterStream:
    return CharacterStream(steps(TOKENIZER.vocab_size, TOKENIZER.vocab_size), TOKENIZER)


def test_steps_give_the_whole_sequence_and_reset_begins_anew() -> None:
    stream = steps(3, 5)
    inputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    whole = stream.runner.run(inputs[None])[0][0]
    assert np.abs(stream.steps(inputs) - whole).max() < 1e-5
    assert np.abs(stream.feed(inputs[0]) - whole[0]).max() > 1e-3  # the state is that of the end
    stream.reset()
    assert np.abs(stream.feed(inputs[0]) - whole[0]).max() < 1e-6


def test_a_state_may_be_kept_and_set() -> None:
    stream = steps(3, 5)
    x = np.ones(3, np.float32)
    stream.feed(x)
    kept = stream.state
    second = stream.feed(x)
    stream.feed(x)
    stream.state = kept
    assert np.array_equal(stream.feed(x), second)


def test_the_scores_of_the_next_character_are_those_of_the_text(characters: CharacterStream) -> None:
    ids, outputs = characters.replay("abca")
    assert ids == [2, 3, 4, 2]
    characters.reset()
    one_by_one = [characters.next(character) for character in "abca"]
    assert np.array_equal(np.stack(one_by_one), outputs)
    characters.reset()
    assert np.array_equal(characters.next("abca"), outputs[-1])


def test_writing_is_greedy_at_temperature_0_and_repeats_from_its_seed(characters: CharacterStream) -> None:
    written = characters.write("ab", 30, temperature=0)
    expected = ""
    characters.reset()
    characters.next("")
    scores = characters.next("ab")
    for _ in range(30):
        token = int(np.where(np.arange(len(scores)) < 2, -np.inf, scores).argmax())
        expected += "\n" if token == characters.end else TOKENIZER.decode([token])
        scores = characters.next("" if token == characters.end else TOKENIZER.decode([token]))
    assert written == expected and len(written) == 30
    drawn = {characters.write("", 30, 1.0, seed) for seed in (1, 1, 2, 3)}
    assert len(drawn) == 3 and all(set(text) <= set("abc\n") for text in drawn)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda stream: stream.write("a", -1), "length is -1"),
        (lambda stream: stream.write("a", 5, temperature=-1), "temperature is -1"),
        (lambda stream: stream.write("a", 5, seed=-1), "seed is -1"),
    ],
)
def test_wrong_settings_are_refused(
    characters: CharacterStream, ask: Callable[[CharacterStream], str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ask(characters)


def test_a_log_is_scored_line_by_line_as_thread_by_thread() -> None:
    stream = LogStream(steps(line_inputs(BUCKETS), line_outputs(BUCKETS)))
    texts = [line.text for line in log_lines.generate(300, 3, anomalies=True)]
    rows = LogRows(windows(features(texts), 300), BUCKETS)  # each thread is one row
    whole = rows.surprises(stream.stream.runner.run(rows.inputs(slice(None)))[0], slice(None))
    expected = by_line(whole, rows.windows.lines, len(texts))
    scores = np.array([stream.score(text) for text in texts])
    assert np.abs(scores - expected).max() < 1e-4 * np.abs(expected).max()
    stream.reset()
    assert [stream.score(text) for text in texts[:20]] == scores[:20].tolist()


def test_a_thread_that_was_silent_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_THREADS", 3)
    stream = LogStream(steps(line_inputs(BUCKETS), line_outputs(BUCKETS)))
    for number in range(9):
        stream.score(f"2026-01-05T00:00:0{number}.000Z INFO auth session=s{number} opened in 5ms")
    assert len(stream._threads) == 3


def test_a_line_that_is_none_is_named_by_its_number() -> None:
    stream = LogStream(steps(line_inputs(BUCKETS), line_outputs(BUCKETS)))
    stream.score("2026-01-05T00:00:00.000Z INFO auth opened")
    with pytest.raises(DataError, match="log line 2: not of the form"):
        stream.score("secret")
