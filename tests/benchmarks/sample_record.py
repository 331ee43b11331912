"""A run record and its texts, written by hand: what the report's tests and screenshots show."""

import numpy as np

from edgewright.benchmarks.agreement import agree
from edgewright.benchmarks.record import (
    Baseline,
    Cell,
    DataSet,
    GateResult,
    Interval,
    Machine,
    OneModel,
    Paired,
    Recommended,
    RunRecord,
    SetResult,
    StepResult,
    Timing,
)
from edgewright.benchmarks.reports.run_report import Details, Difference

LABELS = ("low", "normal", "high", "critical")

MACHINE = Machine(
    cpu="AMD EPYC",
    architecture="x86_64",
    logical_cores=2,
    usable_cores=2,
    cpu_flags=("avx2", "avx512f", "avx512_vnni"),
    memory_bytes=16_000_000_000,
    system="Debian GNU/Linux 12 (bookworm), Linux 6.18",
    python="3.11.7",
    versions={"edgewright": "0.1.0", "torch": "2.13.0", "ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1"},
    git_commit="0123456789abcdef0123456789abcdef01234567",
    git_dirty=False,
    load_average=0.31,
)

TIMING = Timing(1024, 3.02, 10, 0.21, 0.04, 0.99, calls_met=True, duration_met=True, quiet=True)


def _cell(
    target: str,
    numerics: str,
    size: int,
    accuracy: float,
    agreement: float,
    p50: tuple[float, float, float] | None,
    empty: float | None,
) -> Cell:
    gates = (
        GateResult("max_shipped_bytes", 1_500_000, float(size + 31_000), "pass"),
        GateResult("min_label_agreement", 0.99, agreement, "pass"),
        GateResult("max_p50_ms", 0.5, p50[0] if p50 else None, "pass" if p50 else "not_verifiable"),
    )
    return Cell(
        target=target,
        numerics=numerics,
        verdict="pass",
        size_bytes=size,
        shipped_bytes=size + 31_000,
        accuracy=accuracy,
        macro_f1=accuracy - 0.004,
        metrics={
            "n": 1200,
            "calibration_error": 0.021,
            "out_of_scope": {"n": 300, "threshold": 0.62, "recall": 0.58, "precision": 0.81, "in_scope_accuracy": 0.92},
        },
        label_agreement=agreement,
        max_abs_logit_error=0.083,
        p50_ms=Interval(*p50) if p50 else None,
        p90_ms=Interval(*(1.2 * value for value in p50)) if p50 else None,
        p99_ms=Interval(*(1.7 * value for value in p50)) if p50 else None,
        load_ms=Interval(2.13, 2.01, 2.62) if p50 else None,
        peak_memory_bytes=1_420_000 if p50 else None,
        runtime="reference interpreter" if target == "coreml" else target,
        gates=gates,
        text_to_label_p50_ms=Interval(*(value + 0.021 for value in p50)) if p50 else None,
        encode_p50_ms=Interval(0.021, 0.020, 0.022) if p50 else None,
        empty_call_ms=Interval(empty, empty * 0.97, empty * 1.04) if empty else None,
        timing=TIMING if p50 else None,
        float_share=0.004,
        delegated={"conv_1d": 2, "linear": 1},
        left_over={"embedding": 1},
        worst_rows=(17, 403, 88),
    )


def sample_record() -> RunRecord:
    cells = (
        _cell("executorch", "fp32", 1_310_000, 0.942, 1.0, (0.061, 0.058, 0.066), 0.009),
        _cell("executorch", "dynamic_wi8_afp32", 352_000, 0.941, 0.9975, (0.038, 0.036, 0.041), 0.009),
        _cell("litert", "fp32", 1_313_000, 0.942, 1.0, (0.033, 0.032, 0.034), 0.002),
        _cell("litert", "dynamic_wi8_afp32", 330_000, 0.941, 0.998, (0.031, 0.030, 0.033), 0.002),
        _cell("coreml", "fp16", 655_000, 0.942, 0.9992, None, None),
        _cell("coreml", "weight_only_wi8_afp16", 336_000, 0.940, 0.997, None, None),
        _cell("onnx", "fp32", 1_306_000, 0.942, 1.0, (0.047, 0.045, 0.050), 0.004),
        Cell(
            target="onnx",
            numerics="static_wi8_ai8",
            verdict="fail",
            reason="label_agreement 0.981 is below 0.99",
            size_bytes=331_000,
            shipped_bytes=362_000,
            accuracy=0.927,
            macro_f1=0.921,
            label_agreement=0.981,
            max_abs_logit_error=1.9,
            p50_ms=Interval(0.028, 0.027, 0.030),
            p99_ms=Interval(0.055, 0.049, 0.071),
            load_ms=Interval(3.4),
            runtime="onnx",
            gates=(GateResult("min_label_agreement", 0.99, 0.981, "fail", loosened="the task asks 0.995"),),
            empty_call_ms=Interval(0.004, 0.004, 0.004),
        ),
        Cell("onnx", "fp16", "unsupported", reason="ONNX Runtime's CPU kernels have no fp16"),
        Cell("litert", "palette_w4_afp16", "unsupported", reason="a form of Core ML's own"),
    )
    return RunRecord(
        recipe="recipes/urgency.toml",
        task="urgency",
        verdict="fail",
        bundle="out/urgency/bundle",
        report="out/urgency/report.html",
        cells=cells,
        baselines=(
            Baseline("TF-IDF word + character, LinearSVC", 0.938, 0.934, 14_200_000, Interval(1.31, 1.28, 1.36)),
            Baseline("TF-IDF word, LinearSVC", 0.921, 0.915, 2_900_000, Interval(0.42, 0.41, 0.44)),
            Baseline("PyTorch fp32", 0.942, 0.938, 1_305_000, None, Interval(0.104, 0.099, 0.113)),
        ),
        description="How soon an e-mail must be answered",
        effort="quick",
        created="2026-11-21T09:30:00Z",
        seeds=(7,),
        model={"family": "text_cnn", "parameters": 333_220},
        data=DataSet(
            name="generated_emails",
            origin="edgewright's own generator, seed 7",
            licence="MIT",
            tier="generated",
            fingerprint="9f2c" * 16,
            rows={"train": 8000, "validation": 800, "test": 1200},
            generated=True,
            redistributable=True,
        ),
        golden=(SetResult("golden_fr_en", "litert", "dynamic_wi8_afp32", 96, 0.615, 0.587, "never trained on"),),
        machine=MACHINE,
        notes=("12 near-duplicates across splits were removed.",),
        steps=tuple(
            StepResult(
                step,
                target,
                "dynamic_wi8_afp32",
                size,
                size + 31_000,
                accuracy,
                0.998,
                Interval(time),
                Interval(2 * time),
            )
            for step, size, accuracy, time in (("train", 352_000, 0.921, 0.038), ("distill", 352_000, 0.941, 0.037))
            for target in ("executorch", "litert")
        ),
        paired=(Paired("distill", "train", 0.941, 0.921, Interval(0.02, 0.011, 0.03), 3, 1),),
        one_model=(
            OneModel(
                bits=8,
                files=("litert dynamic_wi8_afp32", "onnx dynamic_wi8_afp32"),
                weights=5,
                integers=903_382,
                differing_integers=0,
                unequal=(),
                agreement=agree(
                    {
                        "litert dynamic_wi8_afp32": np.array([[1.0, 0.0], [0.51, 0.5]], np.float32),
                        "onnx dynamic_wi8_afp32": np.array([[1.0, 0.0], [0.5, 0.52]], np.float32),
                    },
                    (3, 88),
                    LABELS[:2],
                ),
            ),
        ),
        hurts=("onnx static_wi8_ai8 is slower than fp32 on this target: 0.050 against 0.040 ms.",),
        recommended=Recommended("distill", ("executorch dynamic_wi8_afp32", "onnx fp32")),
    )


def sample_details(labels: tuple[str, ...] = LABELS) -> Details:
    """Confusions of `labels`, and texts with what a web page must not believe."""
    random = np.random.default_rng(0)
    size = len(labels)
    counts = np.diag(random.integers(20, 300 if size < 10 else 30, size))
    for _ in range(size * 3):
        counts[random.integers(0, size), random.integers(0, size)] += random.integers(0, 6)
    return Details(
        labels=labels,
        confusion=counts,
        confusion_of="litert dynamic_wi8_afp32",
        differences=(
            Difference(
                "onnx static_wi8_ai8",
                17,
                "<script>alert('x')</script> & \"call me\"",
                labels[2],
                labels[2],
                labels[1],
                1.9,
            ),
            Difference(
                "executorch dynamic_wi8_afp32",
                403,
                "Bonjour, le serveur de production est tombé depuis ce matin et plus personne ne peut travailler. " * 3,
                labels[3],
                labels[3],
                labels[3],
                0.41,
            ),
        ),
    )
