"""A pretrained body under a fresh head: frozen parts stay, the head has its own rate, a stopped run goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewright.data.dataset import Dataset
from edgewright.errors import UsageError
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.train import bfloat16
from edgewright.train.labels import LabelsConfig, train
from edgewright.train.parameters import freeze, groups, under

FROZEN = ("embedding", "position", "layers.0")
CONFIG = LabelsConfig(
    epochs=3, batch_size=16, learning_rate=1e-3, head_learning_rate=2e-2, freeze=FROZEN, bfloat16=True
)


def model(layers: int = 2) -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderConfig(30, 3, width=16, layers=layers, heads=2, feedforward=16, positions=8))


def rows(count: int) -> Dataset:
    """Class = which of three words occurs."""
    random = np.random.default_rng(count)
    labels = random.integers(0, 3, count)
    ids = [random.permutation([label + 1, *random.integers(10, 30, 3)]).astype(np.int32) for label in labels]
    return Dataset(ids, labels)


class Stopped(Exception):
    pass


def test_a_name_is_a_part_and_not_the_beginning_of_a_word() -> None:
    assert under("layers.1.up.weight", "layers.1") and under("position", "position")
    assert not under("layers.10.up.weight", "layers.1") and not under("embedding.weight", "embed")


def test_frozen_parts_stay_as_they_were_and_all_others_learn(tmp_path: Path) -> None:
    before, made = model().state_dict(), model()
    train(made, rows(64), rows(32), CONFIG, tmp_path)
    for name, value in made.state_dict().items():
        frozen = any(under(name, part) for part in FROZEN)
        assert torch.equal(value, before[name]) == frozen, name


def test_it_learns_in_bfloat16_and_leaves_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "has_instructions", lambda: True)  # others emulate them
    made = model(layers=1)
    config = LabelsConfig(epochs=12, batch_size=16, learning_rate=3e-3, bfloat16=True)
    assert train(made, rows(300), rows(60), config, tmp_path / "a").best.score > 0.9
    assert {value.dtype for value in made.parameters()} == {torch.float32}
    exact = model(layers=1)
    train(exact, rows(300), rows(60), LabelsConfig(**{**config.__dict__, "bfloat16": False}), tmp_path / "b")
    assert not torch.equal(made.head.weight, exact.head.weight), "it was computed in another precision"


def test_a_cpu_without_bfloat16_computes_in_float32_instead_of_emulating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    asked, exact = model(layers=1), model(layers=1)
    for made, wanted in ((asked, True), (exact, False)):
        train(made, rows(32), rows(16), LabelsConfig(epochs=1, batch_size=16, bfloat16=wanted), tmp_path / str(wanted))
    assert torch.equal(asked.head.weight, exact.head.weight)


def test_each_parameter_that_is_trained_is_in_one_group_with_its_rate() -> None:
    made = model()
    freeze(made, FROZEN)
    body, head = groups(made, 1e-3, 2e-2)
    assert [id(value) for value in head["params"]] == [id(made.head.weight), id(made.head.bias)]
    trained = {id(value) for value in made.parameters() if value.requires_grad}
    assert {id(value) for group in (body, head) for value in group["params"]} == trained
    assert len(body["params"]) + len(head["params"]) == len(trained)
    assert (body["lr"], head["lr"]) == (1e-3, 2e-2)
    assert [len(group["params"]) for group in groups(made, 1e-3, None)] == [len(trained)]


def test_a_head_alone_can_be_trained() -> None:
    made = model()
    parts = tuple(name for name, _ in made.named_children() if name not in ("head", "dropout"))
    freeze(made, (*parts, "position"))
    assert [len(group["params"]) for group in groups(made, 1e-3, 2e-2)] == [2]


def test_a_larger_rate_moves_the_head_further(tmp_path: Path) -> None:
    moved = []
    for rate in (1e-3, 2e-2):
        made = model()
        before = made.head.weight.detach().clone()
        train(made, rows(64), rows(32), LabelsConfig(**{**CONFIG.__dict__, "head_learning_rate": rate}), tmp_path)
        moved.append(float((made.head.weight.detach() - before).abs().mean()))
    assert moved[1] > 3 * moved[0]


def test_a_stopped_run_with_two_rates_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def stop(done: int, total: int, note: str) -> None:
        raise Stopped

    whole, resumed = model(), model()
    train(whole, rows(64), rows(32), CONFIG, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(model(), rows(64), rows(32), CONFIG, tmp_path / "state", stop)
    assert (tmp_path / "state" / "state.safetensors").exists()
    train(resumed, rows(64), rows(32), CONFIG, tmp_path / "state")
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"freeze": ("layer.0",)}, r"\[train\]: freeze: the model has no parameter under 'layer\.0'; its parts: embed"),
        ({"freeze": ("embedding", "position", "norm", "layers", "head")}, r"nothing is left to train"),
        ({"freeze": ("head",)}, r"head_learning_rate: the model has no part 'head' to train"),
    ],
)
def test_what_does_not_fit_the_model_is_said_in_one_line(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        train(model(), rows(64), rows(32), LabelsConfig(**{**CONFIG.__dict__, **changed}), tmp_path)
    assert "\n" not in str(error.value)
