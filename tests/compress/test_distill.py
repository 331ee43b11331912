"""Distillation: a student takes over what only the teacher knows, repeats from its seed, and goes on bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from edgewright.compress.distill import Answers, DistillConfig, Teacher, distill
from edgewright.compress.hidden import Hidden, insides
from edgewright.data.dataset import Dataset
from edgewright.data.transfer import Transfer
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.train.labels import predict

CLASSES = 4
CONFIG = DistillConfig(teachers=(Teacher("tfidf"),), epochs=6, batch_size=16, learning_rate=1e-2)


def texts(count: int, seed: int, words: int = CLASSES) -> Dataset:
    """Class = which of the first words occurs, among noise; words past the classes mean the same as those before."""
    random = np.random.default_rng(seed)
    known = random.integers(0, words, count)
    ids = []
    for word in known:
        row = random.integers(20, 50, random.integers(3, 9)).astype(np.int32)
        row[random.integers(0, len(row))] = word + 1
        ids.append(row)
    return Dataset(ids, known % CLASSES)


def answers_to(*sets: Dataset) -> Answers:
    """A teacher who is sure and right."""
    labels = np.concatenate([np.asarray(one.labels) for one in sets])
    return Answers(8.0 * np.eye(CLASSES, dtype=np.float32)[labels])


def model() -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(TextCNNConfig(vocab_size=50, classes=CLASSES, width=16, hidden=16))


def accuracy(student: torch.nn.Module, rows: Dataset) -> float:
    return float((np.stack(predict(student, rows)).argmax(axis=1) == rows.labels).mean())


def learn(folder: Path, config: DistillConfig, transfer: Dataset, validation: Dataset) -> TextCNN:
    training = texts(64, 0)
    student = model()
    distill(student, training, transfer.ids, answers_to(training, transfer), validation, config, folder)
    return student


def test_a_student_learns_from_transfer_texts_what_no_training_text_says(tmp_path: Path) -> None:
    unseen = texts(200, 2, words=2 * CLASSES)  # half of the words that decide are in no training text
    with_transfer = learn(tmp_path / "a", replace(CONFIG, mix=3.0), texts(400, 3, words=2 * CLASSES), unseen)
    without = learn(tmp_path / "b", replace(CONFIG, mix=0.0), Dataset([], np.empty(0, np.int64)), unseen)
    assert accuracy(with_transfer, unseen) > 0.9
    assert accuracy(without, unseen) < 0.75


def test_the_teacher_outweighs_wrong_labels(tmp_path: Path) -> None:
    training, validation = texts(200, 0), texts(64, 1)
    wrong = Dataset(training.ids, (np.asarray(training.labels) + 1) % CLASSES)
    students = {share: model() for share in (0.95, 0.0)}
    for share, student in students.items():
        config = replace(CONFIG, teaching=share, mix=0.0, epochs=12)
        distill(student, wrong, [], answers_to(training), validation, config, tmp_path / str(share))
    assert accuracy(students[0.95], validation) > 0.9
    assert accuracy(students[0.0], validation) < 0.4


def test_the_same_seed_gives_the_same_student_and_an_interrupted_one_goes_on_bit_for_bit(tmp_path: Path) -> None:
    transfer, validation = texts(100, 3), texts(48, 1)
    whole = learn(tmp_path / "whole", CONFIG, transfer, validation).state_dict()

    class Killed(Exception):
        pass

    def kill(done: int, total: int, text: str) -> None:
        if done == 3:
            raise Killed

    training, student = texts(64, 0), model()
    given = (training, transfer.ids, answers_to(training, transfer), validation, CONFIG, tmp_path / "part")
    with pytest.raises(Killed):
        distill(student, *given, kill)
    resumed = model()
    distill(resumed, *given)
    assert all(torch.equal(value, whole[name]) for name, value in resumed.state_dict().items())


def test_the_hidden_vector_is_drawn_to_the_teachers(tmp_path: Path) -> None:
    training, validation = texts(3000, 0), texts(48, 1)
    teacher = model()
    with torch.no_grad():
        teacher.embedding.weight.normal_()
    pooled = np.stack(insides(teacher.eval(), training.ids, pooled=True, attention=False)["pooled"]).astype(np.float16)
    given = replace(answers_to(training), hidden=Hidden(pooled))
    unlike = {}
    for weight in (0.0, 20.0):
        student = model()
        config = replace(CONFIG, hidden=weight, mix=0.0, epochs=1)  # one: an earlier one cannot be chosen
        distill(student, training, [], given, validation, config, tmp_path / str(weight))
        assert not student.head._forward_pre_hooks, "nothing is left in the student"
        found = np.stack(insides(student, training.ids, pooled=True, attention=False)["pooled"])
        # how much of the teacher's vectors the best affine map of the student's leaves unexplained
        with_one = np.concatenate([found, np.ones((len(found), 1), np.float32)], axis=1)
        mapped = with_one @ np.linalg.lstsq(with_one, pooled.astype(np.float32), rcond=None)[0]
        unlike[weight] = np.square(mapped - pooled).sum() / np.square(pooled - pooled.mean(axis=0)).sum()
    assert unlike[20.0] < 0.9 * unlike[0.0]


def test_an_encoder_attends_as_its_teacher_does(tmp_path: Path) -> None:
    training, validation = texts(64, 0), texts(32, 1)

    def encoder(seed: int, heads: int) -> Encoder:
        torch.manual_seed(seed)
        return Encoder(
            EncoderConfig(vocab_size=50, classes=CLASSES, width=16, heads=heads, feedforward=16, positions=16)
        )

    inside = insides(encoder(5, heads=2).eval(), training.ids, pooled=True, attention=True)
    relations = [one.astype(np.float16) for one in inside["relations"]]
    assert relations[0].shape == (3, 4, len(training.ids[0]), len(training.ids[0]))
    assert np.allclose(relations[0].astype(np.float32).sum(axis=-1), 1, atol=5e-3)
    given = replace(answers_to(training), hidden=Hidden(np.stack(inside["pooled"]).astype(np.float16), relations))
    distance = {}
    for weight in (0.0, 20.0):
        student = encoder(0, heads=4)
        config = replace(CONFIG, attention=weight, mix=0.0, epochs=8, learning_rate=3e-3)
        distill(student, training, [], given, validation, config, tmp_path / str(weight))
        found = insides(student, training.ids, pooled=False, attention=True)["relations"]
        distance[weight] = np.mean([np.abs(a - b).mean() for a, b in zip(found, relations, strict=True)])
    assert distance[20.0] < 0.8 * distance[0.0]


@pytest.mark.parametrize(
    "table, word",
    [
        ({"teachers": []}, "teachers is empty"),
        ({"teachers": [{"name": "tfidf"}], "freeze": ["embedding"]}, "freeze"),
        ({"teachers": [{"name": "tfidf", "weight": 0}]}, "greater than 0"),
        ({"teachers": [{"name": "tfidf"}], "transfer": {"drop": 0.7, "insert": 0.7}}, "shares of one whole"),
        ({"teachers": [{"name": "tfidf"}], "start": "warm"}, "fresh"),
    ],
)
def test_a_wrong_table_is_refused(table: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(DistillConfig).validate_python(table)


def test_defaults_make_a_transfer_set() -> None:
    assert CONFIG.transfer == Transfer() and Transfer().count > 0
