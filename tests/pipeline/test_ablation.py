"""What hurts is said, and not recommended: slower than float32, less accurate than the plain student, pruned without
speed or size."""

from dataclasses import replace

from edgewright.benchmarks.record import Cell, Interval, Paired, Recommended, RunRecord, StepResult
from edgewright.benchmarks.reports import run_report
from edgewright.benchmarks.reports.run_report import Details
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
    perhaps = [slow[0], step("prune", (0.028, 0.026, 0.031), 300)]  # the intervals overlap
    assert ablation.hurts([], perhaps, ()) == (
        "Pruning did not surely make litert dynamic_wi8_afp32 faster: 0.028 ms, before 0.030 ms.",
    )


CELLS = ablation.judged(
    [
        cell("onnx", "fp32", (0.030, 0.029, 0.031), 400),
        cell("onnx", "dynamic_wi8_afp32", (0.040, 0.039, 0.041), 100),
        cell("litert", "fp32", (0.030, 0.028, 0.035), 400),
        cell("litert", "dynamic_wi8_afp32", (0.020, 0.019, 0.021), 100),
    ]
)
FAST, SLOW = (0.020, 0.019, 0.021), (0.030, 0.029, 0.031)
BELOW = Paired("distill", "train", 0.90, 0.92, Interval(-0.02, -0.03, -0.01), 3, 3)


def test_what_is_recommended_passes_and_is_not_slower_than_float32() -> None:
    taken = ablation.recommended("train", CELLS, (), (), {})
    assert taken == Recommended("train", ("onnx fp32", "litert dynamic_wi8_afp32"))
    # what the recipe names ships, but is not recommended where it hurts
    named = ablation.recommended("train", CELLS, (), (), {"onnx": "dynamic_wi8_afp32", "litert": "fp32"})
    assert named.artifacts == ("onnx fp32", "litert fp32")
    failed = [replace(one, verdict="fail") for one in CELLS]
    assert ablation.recommended("train", failed, (), (), {}).artifacts == ()


def test_a_student_below_the_plain_one_is_not_recommended_and_the_plain_one_is_named() -> None:
    made = [step("train", SLOW, 500), step("distill", SLOW, 500)]
    taken = ablation.recommended("distill", CELLS, made, [BELOW], {})
    assert (taken.step, taken.without, taken.artifacts) == ("train", ("distill",), ())
    assert taken.reasons == ("its student is less accurate than that of train alone, by 2.0 [1.0, 3.0] points",)
    unsure = replace(BELOW, difference=Interval(-0.02, -0.03, 0.001))
    assert ablation.recommended("distill", CELLS, made, [unsure], {}).step == "distill"
    # the pair that counts is distill's, whatever comes behind it
    longer = [*made, step("prune", FAST, 300)]
    later = Paired("prune", "train", 0.90, 0.92, Interval(-0.02, -0.03, -0.01), 3, 3)
    assert ablation.recommended("prune", CELLS, longer, [later], {}).step == "prune"
    assert ablation.recommended("prune", CELLS, longer, [later, BELOW], {}).without == ("distill",)


def test_pruning_that_made_nothing_faster_or_smaller_is_not_recommended() -> None:
    before = step("distill", SLOW, 500)

    def taken(*after: StepResult) -> Recommended:
        made = [step("train", SLOW, 500), before, replace(before, target="onnx"), *after]
        return ablation.recommended("prune", CELLS, made, (), {})

    useless = step("prune", SLOW, 498)  # 4 bytes in a thousand less are none
    found = taken(useless, replace(useless, target="onnx"))
    assert (found.step, found.without) == ("distill", ("prune",))
    assert found.reasons == ("it made none of 2 artifacts smaller or surely faster than distill left them",)
    assert taken(useless, replace(useless, target="onnx", p50_ms=Interval(*FAST))).without == ()
    assert taken(useless, replace(useless, target="onnx", size_bytes=300)).without == ()
    assert taken(replace(useless, p50_ms=None)).without == ()  # who did not measure time cannot say that none was won


def test_several_steps_that_hurt_are_left_out_together() -> None:
    made = [step("train", SLOW, 500), step("distill", SLOW, 500), step("prune", SLOW, 500)]
    taken = ablation.recommended("prune", CELLS, made, [BELOW], {})
    assert (taken.step, taken.without) == ("train", ("distill", "prune"))


def test_what_is_not_recommended_stands_at_the_verdict_in_every_form() -> None:
    made = (step("train", SLOW, 500), step("distill", SLOW, 500))
    taken = ablation.recommended("distill", CELLS, made, [BELOW], {})
    record = RunRecord(
        *("r", "t", "pass", "out/bundle", None, tuple(CELLS)),
        steps=made,
        paired=(BELOW,),
        hurts=ablation.hurts(CELLS, made, [BELOW]),
        recommended=taken,
    )
    words = (
        "ecommended: the model of step train, which is the recipe without [distill]. "
        "[distill]: its student is less accurate than that of train alone, by 2.0 [1.0, 3.0] points"
    )
    assert run_report.lines(record)[-2:] == ["verdict: pass", f"r{words}"]
    assert f"**R{words}**" in run_report.markdown(record)
    page = run_report.html(record, Details(()))
    assert f"R{words}" in page and "Not recommended: distill." in page.partition("<section")[0]
    assert run_report.bundle(record) == "out/bundle (of the whole recipe)"
    assert run_report.recommendation(replace(record, recommended=None)) == []
