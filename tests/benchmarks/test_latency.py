"""Timing in worker processes: what is measured, what is refused, and what is never said."""

import gc
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks import latency, load_time, memory, once, processes, worker
from edgewright.benchmarks.job_files import read_inputs, write_inputs, write_texts
from edgewright.benchmarks.latency import BUDGETS, Block, Budget, Job, Warm, summarise, write_raw
from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.errors import DamagedFileError, EdgewrightError

pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")
onnx = pytest.importorskip("onnx", reason="needs edgewright[onnx]")

SIZE = 384  # a matrix product of this size takes about a hundred times as long as an empty call


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """A light and a heavy graph, with three calls' inputs."""
    folder = tmp_path_factory.mktemp("jobs")
    random = np.random.default_rng(0)
    inputs = write_inputs(
        {"inference": [(random.random((SIZE, SIZE), np.float32),) for _ in range(3)]}, folder / "inputs.npz"
    )
    made = {}
    for name, operator, operands in (("light", "Identity", ["x"]), ("heavy", "MatMul", ["x", "x"])):
        kind = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, operands, ["y"])],
            name,
            [kind("x", onnx.TensorProto.FLOAT, [SIZE, SIZE])],
            [kind("y", onnx.TensorProto.FLOAT, [SIZE, SIZE])],
        )
        opset = onnx.helper.make_opsetid("", 17)
        path = folder / f"{name}.onnx"
        path.write_bytes(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString())
        made[name] = Job(name, "onnx", path, inputs=inputs)
    return made


@pytest.fixture(scope="module")
def measured(jobs: dict[str, Job]) -> Iterator[dict[str, dict[str, latency.Latency]]]:
    yield latency.measure(list(jobs.values()), "rapid")


def test_more_work_takes_longer(measured: dict[str, dict[str, latency.Latency]]) -> None:
    light, heavy = measured["light"]["inference"].series, measured["heavy"]["inference"].series
    assert light.p50_ms.high is not None and heavy.p50_ms.low is not None
    assert light.p50_ms.high < heavy.p50_ms.low
    assert light.normalised_p50.high is not None and heavy.normalised_p50.low is not None
    assert light.normalised_p50.high < heavy.normalised_p50.low
    assert heavy.p50_ms.value <= heavy.p90_ms.value <= heavy.p99_ms.value


def test_the_budget_is_met_in_calls_and_in_seconds(measured: dict[str, dict[str, latency.Latency]]) -> None:
    budget = BUDGETS["rapid"]
    for job in measured.values():
        one = job["inference"]
        timing = one.series.timing
        assert timing.calls_met and timing.calls >= budget.calls
        assert timing.duration_met and timing.seconds >= budget.seconds
        assert timing.blocks == len(one.blocks_ns) == len(one.series.block_p50_ms)
        # more rounds than the budget's are made only while blocks are disturbed
        assert timing.disturbed_blocks is not None
        assert budget.blocks <= timing.blocks <= budget.blocks + budget.more_blocks


def test_every_sample_is_kept(measured: dict[str, dict[str, latency.Latency]], tmp_path: Path) -> None:
    with np.load(write_raw(measured, tmp_path / "samples.npz"), allow_pickle=False) as stored:
        samples, block = stored["heavy|inference|samples_ns"], stored["heavy|inference|block"]
        references = stored["heavy|inference|references_ns"]
    timing = measured["heavy"]["inference"].series.timing
    assert len(samples) == len(block) == timing.calls
    assert references.shape == (timing.blocks, 2) and block.max() == timing.blocks - 1
    assert float(np.median(samples)) / 1e6 == pytest.approx(measured["heavy"]["inference"].series.p50_ms.value, rel=0.1)


@pytest.mark.parametrize("undisturbed", [0, 2])
def test_progress_is_told_to_the_end(jobs: dict[str, Job], monkeypatch: pytest.MonkeyPatch, undisturbed: int) -> None:
    """Also where the machine was never quiet, and the last round allowed ended the measurement."""
    few = Budget(calls=4, seconds=0.02, blocks=2, warm_calls=2, warm_seconds=0.02, more_blocks=2)
    monkeypatch.setitem(BUDGETS, "rapid", few)
    monkeypatch.setattr(latency, "_undisturbed", lambda blocks: undisturbed)
    told: list[tuple[int, int]] = []
    latency.measure(list(jobs.values()), "rapid", lambda done, all_: told.append((done, all_)))
    assert told == ([(2, 4), (4, 4)] if undisturbed else [(2, 4), (4, 6), (6, 8), (8, 8)])


def test_a_damaged_artifact_is_explained_with_the_name_of_the_job(jobs: dict[str, Job], tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(jobs["heavy"].path.read_bytes()[:40])
    with pytest.raises(DamagedFileError, match=r"^benchmark of cut off: .*broken\.onnx"):
        latency.measure([Job("cut off", "onnx", broken, inputs=jobs["heavy"].inputs)], "rapid")


def test_a_worker_that_dies_is_explained() -> None:
    with processes.Worker("dead") as one:
        one._process.kill()
        with pytest.raises(EdgewrightError, match="benchmark of dead: the process was ended by signal 9 during 'open'"):
            one.ask("open")


def test_a_cold_process_loads_and_answers(jobs: dict[str, Job]) -> None:
    result = load_time.measure(jobs["light"], "rapid")
    assert 0.1 < result.load_ms.value < result.process_ms.value
    assert result.load_ms.low is None  # one process has no interval


def test_memory_of_a_large_artifact_is_counted_and_that_of_an_empty_one_is_not(
    jobs: dict[str, Job], tmp_path: Path
) -> None:
    big = np.random.default_rng(0).random((SIZE, 12_000), np.float32)  # 18 MB
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    kind = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "big",
        [kind("x", onnx.TensorProto.FLOAT, [SIZE, SIZE])],
        [kind("y", onnx.TensorProto.FLOAT, [SIZE, 12_000])],
        [onnx.numpy_helper.from_array(big, "w")],
    )
    path = tmp_path / "big.onnx"
    opset = onnx.helper.make_opsetid("", 17)
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString())
    light = jobs["light"]
    assert memory.measure(Job("big", "onnx", path, inputs=light.inputs), light, "rapid") > big.nbytes
    assert memory.measure(light, light, "rapid") < 3_000_000


def test_inputs_come_back_in_their_order(tmp_path: Path) -> None:
    calls = [(np.array([i]), np.array([-i, i])) for i in range(12)]  # two digits: "10" must not sort before "2"
    series = {"length 8": calls, "odd|name": calls[:1]}
    again = read_inputs(write_inputs(series, tmp_path / "inputs.npz"))
    assert set(again) == set(series)
    for name, stored in again.items():
        assert [[a.tolist() for a in call] for call in stored] == [[a.tolist() for a in call] for call in series[name]]


def test_any_text_reaches_the_worker_as_it_is(tmp_path: Path) -> None:
    texts = [*EDGE_TEXTS.values(), "half a pair \ud83d"]
    assert json.loads(write_texts(texts, tmp_path / "texts.json").read_text(encoding="utf-8")) == texts


def test_the_peak_of_memory_is_forgotten_and_seen_again() -> None:
    gc.collect()  # what earlier tests left would be freed in between, and hide what is held here
    once._forget_peak()
    before = once.peak_bytes()
    held = np.ones(8_000_000)
    assert once.peak_bytes() - before > 0.9 * held.nbytes


def test_warming_up_ends_when_times_are_stable_or_calls_are_spent() -> None:
    steady = worker.Group(("inference",), lambda: [1000])
    assert worker.warm([steady], calls=200, seconds=10) == {"calls": 50, "stable": True}
    numbers = iter(range(1, 1000))
    growing = worker.Group(("inference",), lambda: [next(numbers) ** 2])
    assert worker.warm([growing], calls=100, seconds=10) == {"calls": 100, "stable": False}
    assert worker.warm([steady, growing], calls=100, seconds=10)["stable"] is False


def test_a_block_calls_until_both_bounds_are_met() -> None:
    def slow() -> list[int]:
        time.sleep(0.002)
        return [1]

    group = worker.Group(("inference",), slow)
    assert len(worker.block([group], 10, 0)["samples_ns"]["inference"]) == 10
    assert len(worker.block([group], 1, 0.02)["samples_ns"]["inference"]) > 2


def test_series_that_share_a_turn_get_their_share_of_the_calls() -> None:
    half = [worker.Group((name,), lambda: [1], share=0.5) for name in ("length 8", "length 16")]
    answer = worker.block([worker.Group(("encode", "inference"), lambda: [1, 2]), *half], 10, 0)
    assert {name: len(samples) for name, samples in answer["samples_ns"].items()} == {
        **{"encode": 10, "inference": 10},
        **{"length 8": 5, "length 16": 5},
    }
    assert len(answer["references_ns"]) == 2


def test_each_series_can_have_an_artifact_of_its_own(jobs: dict[str, Job], tmp_path: Path) -> None:
    ones = (np.ones((SIZE, SIZE), np.float32),)
    inputs = write_inputs({"identity": [ones], "product": [ones]}, tmp_path / "inputs.npz")
    paths = {"identity": jobs["light"].path, "product": jobs["heavy"].path}
    both = latency.measure([Job("both", "onnx", jobs["light"].path, inputs=inputs, paths=paths)], "rapid")["both"]
    assert both["identity"].series.p50_ms.value < both["product"].series.p50_ms.value


def test_a_runtimes_own_libraries_are_counted(jobs: dict[str, Job]) -> None:
    import onnxruntime

    module = Path(onnxruntime.__file__).parent / "capi"
    largest = max(file.stat().st_size for file in module.glob("*.so*"))
    loaded = once.libraries(jobs["light"].to_json())["bytes"]
    assert loaded is not None and largest <= loaded < 10 * largest


def test_texts_are_not_in_the_answers_of_a_worker(tmp_path: Path) -> None:
    secret = "my account number is 4711"
    (tmp_path / "bundle").mkdir()
    texts = write_texts([secret], tmp_path / "texts.json")
    job = Job("text", "onnx", tmp_path / "bundle", texts=texts).to_json()
    answers = io.StringIO()
    worker.main(io.StringIO(json.dumps({"command": "open", "job": job, "cpus": None}) + "\n"), answers)
    assert "error" in json.loads(answers.getvalue()) and "4711" not in answers.getvalue()


def test_an_unexpected_error_over_texts_is_named_without_its_message() -> None:
    try:
        raise ValueError("cannot encode 'my account number'")
    except ValueError as error:
        failure = worker._failure(error, with_texts=True)
    assert "account" not in failure["message"] and "ValueError" in failure["message"]


@pytest.mark.parametrize(
    ("references", "cpu_share", "quiet"),
    [([200, 202, 201, 199], 1.0, True), ([200, 300, 200, 290], 1.0, False), ([200, 202, 201, 199], 0.6, False)],
)
def test_a_machine_is_quiet_when_neither_its_speed_nor_its_share_changes(
    references: list[int], cpu_share: float, quiet: bool
) -> None:
    blocks = [
        Block((r * 1000, r * 1000), 10**9, int(cpu_share * 10**9), {"inference": np.array([10**6])}) for r in references
    ]
    warm = Warm(calls=1, stable=False)
    timing = summarise(blocks, "inference", Budget(4, 4, 4, 1, 1), warm).series.timing
    assert timing.quiet is quiet
    assert timing.calls_met and timing.duration_met
    assert timing.warmed_up is False and timing.warm_calls == 1
    assert not summarise(blocks, "inference", Budget(5, 5, 4, 1, 1), warm).series.timing.calls_met
