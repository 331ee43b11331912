"""What an artifact says of one text: buckets, windows that are averaged for labels and joined for tags."""

import numpy as np
import pytest

from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.tokenizer import Window
from edgewright.runtimes.answers import answers_of, pad_to_bucket

TEXT = " ".join(f"word{number}" for number in range(11))


class Echo:
    """Answers with the first feature of each word, so that a test sees which call a score comes from."""

    def __init__(self, tags: bool) -> None:
        self.tags = tags
        self.calls: list[np.ndarray] = []

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        (ids,) = arrays
        self.calls.append(ids)
        scores = np.stack([ids[:, :, 0], np.full(ids.shape[:2], len(self.calls))], axis=2).astype(np.float32)
        return (scores if self.tags else scores.sum(axis=1),)


def test_the_shortest_bucket_that_holds_the_text_is_used() -> None:
    ids = np.ones((5, 2), np.int32)
    assert pad_to_bucket(ids, (4, 8, 16)).shape == (1, 8, 2)
    assert pad_to_bucket(ids, (2, 4)).shape == (1, 4, 2)
    assert pad_to_bucket(ids[:0], (4, 8)).shape == (1, 4, 2)


def test_tags_are_one_answer_a_word_without_the_padding() -> None:
    tokenizer = HashedNgrams(buckets=1000, features=4, max_tokens=16)
    answers = answers_of(TEXT, tokenizer, (16,), Echo(tags=True))
    assert answers[:, 0].tolist() == tokenizer.encode(TEXT)[:, 0].tolist()
    assert answers_of("", tokenizer, (16,), Echo(tags=True)).shape == (0, 2)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_windows_are_joined_word_by_word(stride: int) -> None:
    tokenizer = HashedNgrams(buckets=1000, features=4, max_tokens=4, window=Window(4, stride))
    answers = answers_of(TEXT, tokenizer, (4,), Echo(tags=True))
    assert answers[:, 0].tolist() == tokenizer.encode(TEXT)[:, 0].tolist()
    assert (np.diff(answers[:, 1]) >= 0).all()  # later words come from later windows


def test_a_word_in_two_windows_comes_from_where_it_stands_further_inside() -> None:
    tokenizer = HashedNgrams(buckets=1000, features=4, max_tokens=6, window=Window(6, 2))
    answers = answers_of(" ".join("abcdefgh"), tokenizer, (6,), Echo(tags=True))
    # windows hold words 0-5 and 2-7; 2 and 3 stand in the middle of the first, 4 and 5 in that of the second
    assert answers[:, 1].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_the_windows_of_a_classifier_are_averaged() -> None:
    tokenizer = HashedNgrams(buckets=1000, features=4, max_tokens=4, window=Window(4, 4))
    runner = Echo(tags=False)
    answers = answers_of(TEXT, tokenizer, (4,), runner)
    sums = [call[0, :, 0].sum() for call in runner.calls]
    assert answers.shape == (1, 2) and answers[0, 0] == pytest.approx(np.mean(sums))
