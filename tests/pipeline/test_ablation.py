"""What hurts is said: slower than float32, less accurate than the plain student, pruned without speed or size."""

from edgewright.benchmarks.record import Cell, Interval, Paired, RunRecord, StepResult
from edgewright.pipeline import ablation
from edgewright.pipeline.recipe import find, read
from edgewright.pipeline.run import shipped_cells


def cell(target: str, numerics: str, p50: tuple[float, float, float], shipped: int) -> Cell:
    return Cell(target, numerics, "pass", shipped_bytes=shipped, p50_ms=Interval(*p50))


def step(name: str, p50: tuple[float, float, float], size: int) -> StepResult:
    return StepResult(name, "litert", "dynamic_wi8_afp32", size, size, 0.9, 1.0, Interval(*p50))


def test_a_quantized_file_that_is_surely_slower_than_float32_hurts_and_does_not_ship() -> None:
    found = ablation.judged(
        [
            cell("onnx", "fp32", (0.030, 0.029, 0.031), 400),
            cell("onnx", "dynamic_wi8_afp32", (0.040, 0.039, 0.041), 100),
            cell("litert", "fp32", (0.030, 0.028, 0.035), 400),
            cell("litert", "dynamic_wi8_afp32", (0.032, 0.030, 0.036), 100),  # the intervals overlap
        ]
    )
    assert [one.hurts is not None for one in found] == [False, True, False, False]
    assert "slower than fp32 on this target: 0.040 against 0.030 ms" in str(found[1].hurts)
    record = RunRecord("r", "t", "pass", None, None, tuple(found))
    shipped = {one.target: one.numerics for one in shipped_cells(read(find("urgency")), record)}
    assert shipped == {"onnx": "fp32", "litert": "dynamic_wi8_afp32"}
    assert ablation.hurts(found, (), ()) == (
        "onnx dynamic_wi8_afp32 is slower than fp32 on this target: 0.040 against 0.030 ms.",
    )


def test_a_student_below_the_plain_one_hurts_but_one_below_its_teacher_does_not() -> None:
    def pair(against: str, low: float, high: float) -> Paired:
        return Paired("distill", against, 0.9, 0.92, Interval(-0.02, low, high), 3, 3)

    assert ablation.hurts([], (), [pair("teacher_clinc", -0.03, -0.01)]) == ()
    assert ablation.hurts([], (), [pair("train", -0.03, 0.001)]) == ()
    (line,) = ablation.hurts([], (), [pair("train", -0.03, -0.01)])
    assert line.startswith("distill is less accurate than train alone: -2.0 points [-3.0, -1.0]")


def test_pruning_without_speed_or_size_hurts() -> None:
    slow = [step("train", (0.030, 0.029, 0.031), 500), step("prune", (0.030, 0.029, 0.032), 500)]
    lines = ablation.hurts([], slow, ())
    assert len(lines) == 2 and "did not make litert dynamic_wi8_afp32 faster" in lines[0] and "smaller" in lines[1]
    quick = [slow[0], step("prune", (0.020, 0.019, 0.021), 300)]
    assert ablation.hurts([], quick, ()) == ()
