"""Training: learns, repeats from its seed, goes on after a kill, and shares its work among processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.data.dataset import Dataset, batch_count, batches
from edgewright.errors import DamagedFileError
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.train.labels import LabelsConfig, predict, train

CONFIG = LabelsConfig(epochs=4, batch_size=16, learning_rate=1e-2, average=0.5)

# The same as `learn` below, as a program: a killed process, or one of several.
PROGRAM = """
import sys
from pathlib import Path
from safetensors.torch import save_file
sys.path.insert(0, sys.argv[1])
from test_labels import CONFIG, model, rows
from edgewright.train.labels import train
import os, signal
def progress(done, total, text):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
made = model()
train(made, rows(96, 0), rows(48, 1), CONFIG, Path(sys.argv[2]), progress)
if int(os.environ.get("RANK", "0")) == 0:
    save_file(made.state_dict(), sys.argv[3])
"""


def rows(count: int, seed: int) -> Dataset:
    """Class = which of four words occurs, among noise: a small CNN finds it within a few epochs."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    ids = []
    for label in labels:
        words = random.integers(10, 50, random.integers(3, 9)).astype(np.int32)
        words[random.integers(0, len(words))] = label + 1
        ids.append(words)
    return Dataset(ids, labels)


def model() -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(TextCNNConfig(vocab_size=50, classes=4, width=16, hidden=16))


def learn(folder: Path, config: LabelsConfig = CONFIG) -> dict[str, torch.Tensor]:
    made = model()
    train(made, rows(96, 0), rows(48, 1), config, folder)
    return made.state_dict()


def program(*arguments: str, torchrun: int = 0) -> subprocess.CompletedProcess[str]:
    start = [sys.executable]
    if torchrun:
        start += ["-m", "torch.distributed.run", f"--nproc-per-node={torchrun}", "--master-port=0", "--standalone"]
    script = Path(arguments[0]) / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    return subprocess.run(
        [*start, str(script), str(Path(__file__).parent), *arguments[1:]],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_it_learns_what_the_rows_say(tmp_path: Path) -> None:
    made = model()
    config = LabelsConfig(epochs=15, batch_size=16, learning_rate=1e-2)
    trained = train(made, rows(400, 0), rows(100, 1), config, tmp_path)
    assert trained.best.score > 0.9
    held_out = rows(200, 2)
    assert (np.stack(predict(made, held_out)).argmax(axis=1) == held_out.labels).mean() > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    first, again = learn(tmp_path / "a"), learn(tmp_path / "b")
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = learn(tmp_path / "c", LabelsConfig(**{**CONFIG.__dict__, "seed": 1}))
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, killed_after: int) -> None:
    whole = learn(tmp_path / "whole")
    killed = program(str(tmp_path), str(tmp_path / "state"), str(tmp_path / "out"), str(killed_after))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "state" / "state.safetensors").exists()
    resumed = learn(tmp_path / "state")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "state" / "state.safetensors").exists(), "a finished run leaves no state"


def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path) -> None:
    program(str(tmp_path), str(tmp_path / "state"), str(tmp_path / "out"), "1")
    path = tmp_path / "state" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFileError, match=r"state\.safetensors: not a training state .* delete it") as error:
        learn(tmp_path / "state")
    assert "\n" not in str(error.value)


def test_two_processes_train_the_model_that_one_trains(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    done = program(str(tmp_path), str(tmp_path / "state"), str(tmp_path / "two"), "-1", torchrun=2)
    assert done.returncode == 0, done.stderr[-2000:]
    two = model()
    two.load_state_dict(load_file(tmp_path / "two"))
    held_out = rows(200, 2)
    one = model()
    one.load_state_dict(learn(tmp_path / "one"))
    # the same batches with other dropout: not the same weights, but the same skill
    accuracies = [(np.stack(predict(made, held_out)).argmax(axis=1) == held_out.labels).mean() for made in (one, two)]
    untrained = (np.stack(predict(model().eval(), held_out)).argmax(axis=1) == held_out.labels).mean()
    assert min(accuracies) > untrained + 0.2, accuracies


def test_processes_share_each_batch_and_lose_no_row() -> None:
    data = rows(101, 0)
    alone = [labels.tolist() for _, labels in batches(data, 16, seed=3, epoch=0)]
    halves = [[labels.tolist() for _, labels in batches(data, 16, 3, 0, rank, 2)] for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(both) for both in alone]
    assert len(alone) == batch_count(101, 16)
    assert sum(map(len, alone)) == 101


def test_it_stops_early_at_the_target_and_when_nothing_improves(tmp_path: Path) -> None:
    short = LabelsConfig(epochs=50, batch_size=16, learning_rate=1e-2, target=0.5)
    assert len(train(model(), rows(96, 0), rows(48, 1), short, tmp_path).history) < 50
    hopeless = LabelsConfig(epochs=50, batch_size=16, learning_rate=1e-9, patience=2)
    assert len(train(model(), rows(96, 0), rows(48, 1), hopeless, tmp_path).history) < 10


def test_balanced_weights_favour_the_rare_class() -> None:
    from edgewright.train.losses import class_weights

    weights = class_weights(np.array([0, 0, 0, 1]), 2, "balanced")
    assert weights.tolist() == pytest.approx([0.5, 1.5])
    assert class_weights(np.array([0, 0, 0, 1]), 2, "none").tolist() == [1, 1]


def test_temperature_makes_overconfident_logits_honest() -> None:
    from edgewright.train.temperature import fit_temperature

    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 4000)
    honest = random.normal(size=(4000, 3)) + 2 * np.eye(3)[labels]
    # logits of that Bayes classifier are 2 x; three times that is overconfident by 3
    assert fit_temperature(honest * 2 * 3, labels) == pytest.approx(3, rel=0.1)
