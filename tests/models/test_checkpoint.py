"""models/checkpoint.py: what was saved comes back, and nothing else is taken for a model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgewright.errors import DamagedFileError
from edgewright.models import MODELS
from edgewright.models.checkpoint import FORMAT, HEADER, load_model, save_model

SMALL: dict[str, dict[str, Any]] = {
    "text_cnn": {"vocab_size": 20, "classes": 3, "width": 4, "hidden": 5},
    "ngram_hybrid": {"vocab_size": 20, "features": 3, "classes": 3, "width": 4, "hidden": 5, "bag_hidden": 6},
    "lstm_attention": {"vocab_size": 20, "classes": 3, "width": 4, "hidden": 8, "heads": 2},
    "encoder": {"vocab_size": 20, "classes": 3, "width": 8, "heads": 2, "layers": 1, "feedforward": 5, "positions": 9},
    "tagger": {"vocab_size": 20, "features": 3, "classes": 3, "width": 4, "hidden": 5, "crf": True},
    "sequence_net": {"input_size": 3, "hidden_size": 4, "output_size": 5},
    "hybrid": {
        **{"vocab_size": 20, "width": 8, "lstm_layers": 1, "lstm_hidden": 3, "attention_heads": 2, "layers": 1},
        **{"heads": 2, "feedforward": 6, "max_target": 9},
    },
}


def small(family: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = MODELS[family].module(MODELS[family].config(**SMALL[family]))
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint of a text_cnn."""
    file = tmp_path / "model.safetensors"
    save_model(small("text_cnn"), "text_cnn", file)
    return file


def rewrite(path: Path, tensors: dict[str, torch.Tensor], **changes: Any) -> None:
    """The checkpoint with other tensors and header entries, as someone would who has the library."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = {**json.loads(file.metadata()[HEADER]), **changes}
    save_file(tensors, path, {HEADER: json.dumps(header)})


@pytest.mark.parametrize("family", sorted(MODELS))
def test_the_model_comes_back_as_it_was(family: str, tmp_path: Path) -> None:
    model = small(family)
    save_model(model, family, tmp_path / "a" / "model.safetensors")
    loaded = load_model(tmp_path / "a" / "model.safetensors")
    assert not loaded.training
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    ids = model.example_inputs(8)  # type: ignore[operator]  # every family has it
    with torch.no_grad():
        assert torch.equal(loaded(*ids), model.eval()(*ids))
    assert [p.requires_grad for p in loaded.parameters()] == [True] * len(list(model.parameters()))


def test_same_model_gives_the_same_bytes_in_another_process(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    code = (
        "import sys, pathlib; from edgewright.models.checkpoint import load_model, save_model;"
        "save_model(load_model(pathlib.Path(sys.argv[1])), 'text_cnn', pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(again)], check=True)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedFileError, match=r"model\.safetensors: no whole checkpoint \([^\n]+\); get or train"):
        load_model(path)


def test_a_changed_weight_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="changed since it was written; get or train it anew"):
        load_model(path)


def test_a_changed_config_is_noticed(path: Path) -> None:
    rewrite(path, load_file(path), config={**SMALL["text_cnn"], "kernel": 3, "dropout": 0.9})
    with pytest.raises(DamagedFileError, match="changed since it was written"):
        load_model(path)


@pytest.mark.parametrize("changes", [{"family": "bert"}, {"format": "edgewright-model-9"}])
def test_an_unknown_family_or_format_is_refused_with_what_is_known(path: Path, changes: dict[str, str]) -> None:
    rewrite(path, load_file(path), **changes)
    with pytest.raises(DamagedFileError, match=f"this edgewright reads {FORMAT} of text_cnn, ngram_hybrid"):
        load_model(path)


def test_a_safetensors_file_of_someone_else_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DamagedFileError, match="format None, family None"):
        load_model(tmp_path / "other.safetensors")


def test_tensors_of_another_shape_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.models.checkpoint._digest", lambda described, tensors: "same")
    rewrite(path, {**load_file(path), "head.bias": torch.zeros(4)}, sha256="same")
    with pytest.raises(DamagedFileError, match=r"do not fit the text_cnn of this edgewright \(.*head\.bias.*\)"):
        load_model(path)


def test_a_setting_that_this_edgewright_does_not_have_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.models.checkpoint._digest", lambda described, tensors: "same")
    rewrite(path, load_file(path), sha256="same", config={**SMALL["text_cnn"], "heads": 2})
    with pytest.raises(DamagedFileError, match="it has no setting heads"):
        load_model(path)


@pytest.mark.parametrize("name", ["none.safetensors", "."])
def test_a_missing_file_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(DamagedFileError, match="no such checkpoint; train the model first"):
        load_model(tmp_path / name)
