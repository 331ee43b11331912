"""The plain exports give PyTorch's answers, and take the texts as we do."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.benchmarks.peers import PEERS, open_peer
from edgewright.data import tokenizer as tokenizers
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.errors import DamagedFileError
from edgewright.models import checkpoint
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig

LENGTH = 8
TEXTS = [
    "the server is down",
    "lunch at noon",
    "",
    "a text that is longer than the one length that there is here",
    "é 日本",
]
NEEDS = {
    "plain_executorch": "executorch",
    "plain_litert": "litert_torch",
    "plain_onnx": "onnxscript",
}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.safetensors and tokenizer.json."""
    folder = tmp_path_factory.mktemp("learnt")
    torch.manual_seed(0)
    model = NgramHybrid(
        NgramHybridConfig(vocab_size=201, features=4, classes=5, width=8, hidden=8, bag_hidden=8)
    ).eval()
    checkpoint.save_model(model, "ngram_hybrid", folder / "model.safetensors")
    tokenizers.save(HashedNgrams(buckets=200, features=4, max_tokens=LENGTH), folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="module", params=NEEDS)
def plain(request: pytest.FixtureRequest, learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A plain peer's name and folder."""
    pytest.importorskip(NEEDS[request.param], reason=f"needs edgewright[{PEERS[request.param].extra}]")
    folder = tmp_path_factory.mktemp(request.param)
    module = import_module(f"edgewright.benchmarks.peers.{request.param}")
    module.export(learnt / "model.safetensors", learnt / "tokenizer.json", LENGTH, list("abcde"), folder)
    return request.param, folder


@pytest.mark.filterwarnings("ignore")  # the exporters warn about their own insides
def test_the_scores_are_those_of_pytorch(plain: tuple[str, Path], learnt: Path) -> None:
    peer = open_peer(*plain)
    model = checkpoint.load_model(learnt / "model.safetensors").eval()
    words = tokenizers.load(learnt / "tokenizer.json")
    for text in TEXTS:
        ids = tokenizers.pad(words.encode(text, limit=LENGTH), LENGTH)
        with torch.inference_mode():
            wanted = model(torch.from_numpy(ids)).numpy()
        # float32 sums in another order
        np.testing.assert_allclose(peer.run(ids), wanted, atol=1e-5)  # type: ignore[attr-defined]
        assert peer.label(text) == wanted.argmax()
    assert peer.labels(TEXTS).tolist() == [peer.label(text) for text in TEXTS]


def test_every_file_that_counts_is_needed(plain: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = plain
    for file in sorted(path.name for path in folder.iterdir()):
        less = tmp_path / file / name
        shutil.copytree(folder, less)
        (less / file).unlink()
        with pytest.raises(DamagedFileError):
            open_peer(name, less)
