"""Bounds are arithmetic on peaks; profiles are of the real runtimes on the bundle of the zoo."""

import time
from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks.bench_record import Bandwidth, Peaks
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.roofline.bounds import bound_us, explanation, roofline
from edgewright.benchmarks.roofline.profiles import Profile, profile
from edgewright.benchmarks.roofline.work import Operand, Work
from edgewright.runtimes import Runtime, load
from edgewright.runtimes.bundle import Bundle

pytest.importorskip("ai_edge_litert", reason="needs edgewright[litert]")
pytest.importorskip("executorch", reason="needs edgewright[executorch]")
pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")

PEAKS = Peaks(50.0, 200.0, "a", "b", (Bandwidth(16384, 160.0), Bandwidth(1 << 20, 80.0)))
IDS = np.ones((1, 32, 16), np.int32)


def test_the_slower_of_arithmetic_and_memory_bounds_an_operator() -> None:
    product = Work("product", "linear", macs=100_000, integer=True, operands=(Operand("a", 8_000),))
    assert bound_us(product, PEAKS, 100.0) == pytest.approx(100_000 / 200e9 * 1e6)
    in_floats = Work("product", "linear", macs=100_000, operands=product.operands)
    assert bound_us(in_floats, PEAKS, 100.0) == pytest.approx(100_000 / 50e9 * 1e6)
    sum_of_many = Work("sum", "reduce", operands=(Operand("a", 8_000), Operand("b", 2_000)))
    assert bound_us(sum_of_many, PEAKS, 100.0) == pytest.approx(10_000 / 100e9 * 1e6)


def test_an_explanation_names_the_largest_parts_of_the_call() -> None:
    works = [Work("product", "linear", macs=1), Work("cast", "elementwise"), Work("add", "elementwise")]
    times = Profile("by hand", {"product": 4.0, "cast": 5.0, "add": 1.0}, {"all the rest": 1.0})
    assert explanation(works, times, measured_us=20.0, empty_us=3.0) == (
        "of the call 30% in 2 elementwise operators, 30% between the operators, 20% in 1 matrix product, "
        "15% in the call itself (an empty graph takes as long); the longest operator is cast with 25%"
    )


def test_an_explanation_takes_shares_of_the_profile_where_that_is_the_slower_one() -> None:
    works = [Work("product", "linear", macs=1), Work("add", "elementwise")]
    text = explanation(works, Profile("by hand", {"product": 30.0, "add": 10.0}), measured_us=20.0, empty_us=None)
    assert text.startswith("of the profile 75% in 1 matrix product, 25% in 1 elementwise operator;")


@pytest.mark.parametrize("runtime", ["litert", "executorch", "onnx"])
def test_a_roofline_of_a_real_artifact(runtime: Runtime, urgency: Bundle) -> None:
    path = urgency.artifact(runtime).path
    found = roofline(runtime, path, (IDS,), 32, Interval(0.02, 0.019, 0.021), 0.005, PEAKS, calls=20)
    assert found.bound_us == pytest.approx(sum(operator.bound_us for operator in found.operators))
    assert found.macs == sum(operator.macs for operator in found.operators) > 500_000
    assert found.bytes_moved == sum(operator.bytes_moved for operator in found.operators)
    assert (found.measured_us.value, found.measured_us.low, found.empty_call_us) == pytest.approx((20.0, 19.0, 5.0))
    assert found.ratio == pytest.approx(20.0 / (found.bound_us + 5.0))
    assert found.profiler is not None and "µs" in found.profiler
    assert found.explanation is None  # a ratio below 4
    slow = roofline(runtime, path, (IDS,), 32, Interval(1.0), None, PEAKS, calls=20)
    assert slow.ratio == pytest.approx(1000.0 / slow.bound_us)
    assert slow.empty_call_us is None
    assert slow.explanation is not None and slow.explanation.startswith("of the call ")


@pytest.mark.parametrize("runtime", ["litert", "executorch", "onnx"])
def test_the_times_of_a_profile_are_of_the_size_of_the_call(runtime: Runtime, urgency: Bundle) -> None:
    path = urgency.artifact(runtime).path
    found = profile(runtime, path, (IDS,), calls=50)
    runner = load(runtime, path)
    times_us = []
    for _ in range(200):
        start = time.perf_counter_ns()
        runner.run(IDS)
        times_us.append((time.perf_counter_ns() - start) / 1000)
    # the call itself is not in the profile, and a trace costs time; other work of the machine disturbs both
    assert 0.2 * np.median(times_us) < found.total_us < 4 * np.median(times_us)
    # the products are seen one by one in each runtime
    assert len([name for name in found.times_us if "MatMul" in name or "FULLY" in name or "Fully" in name]) >= 2


def test_an_explanation_tells_kernels_outside_of_xnnpack_from_its_graphs() -> None:
    works = [Work("0: sum", "reduce"), Work("1: sum", "reduce"), Work("2: XNNPACK FullyConnected", "linear", macs=1)]
    rest = "XNNPACK graph 2, operators too short to tell apart"
    times = Profile("by hand", {"0: sum": 3.0, "1: sum": 2.0, "2: XNNPACK FullyConnected": 4.0}, {rest: 1.0})
    assert explanation(works, times, measured_us=10.0, empty_us=None) == (
        f"of the profile 50% in 2 reductions outside of XNNPACK, 40% in 1 matrix product, 10% in {rest}; "
        "the longest operator is 2: XNNPACK FullyConnected with 40%"
    )


def test_pytorch_has_no_profiler() -> None:
    with pytest.raises(ValueError, match="pytorch has no profiler here"):
        profile("pytorch", Path("any.safetensors"), (IDS,), calls=1)
