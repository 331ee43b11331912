"""Bench records written by hand, with every field in use: what the tests and screenshots of their reports show."""

import dataclasses
import math

from edgewright.benchmarks.bench_record import (
    Bandwidth,
    BenchRecord,
    Cold,
    Energy,
    Length,
    Operator,
    Peaks,
    PeerResult,
    Roofline,
    RuntimeFiles,
    Series,
    Throughput,
    Timed,
)
from edgewright.benchmarks.compare import Comparison, compare
from edgewright.benchmarks.record import Interval, Machine, Timing

REFERENCE_MS = 0.21
LENGTHS = (8, 16, 32)
BATCHES = (1, 4, 16, 64)

MACHINE = Machine(
    cpu="AMD EPYC",
    architecture="x86_64",
    logical_cores=4,
    usable_cores=4,
    cpu_flags=("avx2", "avx512f", "avx512_vnni"),
    memory_bytes=16_000_000_000,
    system="Debian GNU/Linux 12 (bookworm), Linux 6.18",
    python="3.11.7",
    versions={"edgewright": "0.1.0", "ai-edge-litert": "2.3.0", "executorch": "1.5.1", "onnxruntime": "1.31.1"},
    git_commit="0123456789abcdef0123456789abcdef01234567",
    git_dirty=False,
    load_average=0.31,
)

PEAKS = Peaks(
    fp32_gmacs=58.4,
    int8_gmacs=224.0,
    fp32_by="NumPy (OpenBLAS), 512 x 512 x 512",
    int8_by="ONNX Runtime MatMulInteger, 1024 x 1024 x 1024",
    bandwidth=(
        Bandwidth(16_384, 301.0),
        Bandwidth(262_144, 164.0),
        Bandwidth(8_388_608, 71.0),
        Bandwidth(268_435_456, 22.5),
    ),
)


def _around(value: float, width: float = 0.03) -> Interval:
    return Interval(value, value * (1 - width), value * (1 + width))


def _timing(quiet: bool) -> Timing:
    return Timing(
        calls=4096,
        seconds=10.2,
        blocks=20,
        reference_ms=REFERENCE_MS,
        reference_spread=0.04 if quiet else 0.23,
        cpu_share=0.99,
        calls_met=True,
        duration_met=True,
        quiet=quiet,
        warmed_up=True,
        warm_calls=2000,
        disturbed_blocks=0 if quiet else 3,
        outlier_share=0.004,
        throttled=False,
    )


def series(p50: float, quiet: bool = True, slower: float = 1.0) -> Series:
    """Twenty blocks that wave a little; of a busy machine three are slow, and so is their reference."""
    busy = [1.0 if quiet or block not in (7, 8, 15) else 1.45 for block in range(20)]
    waves = [1 + 0.015 * math.sin(block * 1.7) for block in range(20)]
    return Series(
        p50_ms=_around(p50 * slower),
        p90_ms=_around(p50 * slower * 1.2),
        p99_ms=_around(p50 * slower * 1.7),
        normalised_p50=_around(p50 * slower / REFERENCE_MS, 0.015),
        timing=_timing(quiet),
        block_p50_ms=tuple(p50 * slower * wave * load for wave, load in zip(waves, busy, strict=True)),
        block_reference_ms=tuple(REFERENCE_MS * load for load in busy),
    )


def _operators(measured: float, scale: float, profiled: bool) -> tuple[Operator, ...]:
    shares = (("gather", 0.09), ("quantize", 0.11), ("conv", 0.38), ("reduce", 0.12), ("linear", 0.22), ("move", 0.08))
    return tuple(
        Operator(
            name=f"model/{kind}/{kind.upper()}_DYNAMIC;with_a_name_as_long_as_a_converter_makes_it_{number}",
            kind=kind,
            macs=int(900_000 * scale) if kind in ("conv", "linear") else 0,
            bytes_moved=int(40_000 * scale),
            bound_us=measured * share * 0.35,
            measured_us=measured * share if profiled else None,
        )
        for number, (kind, share) in enumerate(shares)
    )


def _roofline(length: int, inference_us: float, empty_us: float, profiled: bool, explanation: str | None) -> Roofline:
    scale = length / LENGTHS[-1]
    work = inference_us - empty_us
    operators = _operators(work * 0.9, scale, profiled)
    bound = sum(operator.bound_us for operator in operators)
    if explanation:
        bound /= 4
    return Roofline(
        length=length,
        macs=sum(operator.macs for operator in operators),
        bytes_moved=sum(operator.bytes_moved for operator in operators),
        bound_us=bound,
        empty_call_us=empty_us,
        measured_us=_around(inference_us),
        ratio=inference_us / (bound + empty_us),
        operators=operators,
        profiler="the runtime's own, 1 µs" if profiled else None,
        explanation=explanation,
    )


def timed(
    runtime: str,
    numerics: str,
    inference: float,
    empty: float,
    size: int,
    threads: int = 1,
    quiet: bool = True,
    explanation: str | None = None,
    slower: float = 1.0,
) -> Timed:
    """One artifact; `inference` and `empty` in milliseconds, `slower` multiplies every latency."""
    main = threads == 1
    by_length = {length: empty + (inference - empty) * (0.3 + 0.7 * length / LENGTHS[-1]) for length in LENGTHS}
    return Timed(
        runtime=runtime,
        numerics=numerics,
        threads=threads,
        size_bytes=size,
        shipped_bytes=size + 31_000,
        text_to_label=series(inference + 0.023, quiet, slower),
        encode=series(0.019, quiet, slower),
        inference=series(inference, quiet, slower),
        lengths=tuple(Length(n, _around(ms * slower), _around(ms / REFERENCE_MS)) for n, ms in by_length.items())
        if main
        else (),
        throughput=tuple(
            Throughput(
                n, 16, _around(1000 * n / (empty + (inference - empty) * n**0.8)), n if runtime == "litert" else 1
            )
            for n in BATCHES
        )
        if main
        else (),
        cold=Cold(_around(212.0), _around(160.0), _around(2.4)) if main else None,
        peak_memory_bytes=1_420_000 if main else None,
        energy=Energy(390.0, "intel-rapl:0") if runtime == "litert" and main else None,
        roofline=tuple(
            _roofline(n, ms * 1e3, empty * 1e3, profiled=True, explanation=explanation) for n, ms in by_length.items()
        )
        if main
        else (),
    )


def sample_bench(quiet: bool = True, slower: float = 1.0) -> BenchRecord:
    """A record of kind "bench". slower: what multiplies the latencies of LiteRT."""
    why = "62 % in 14 elementwise operators outside the delegate, 20 % in quantize"
    artifacts = (
        timed("executorch", "dynamic_wi8_afp32", 0.031, 0.009, 352_000, quiet=quiet),
        timed("executorch", "dynamic_wi8_afp32", 0.034, 0.009, 352_000, threads=2, quiet=quiet),
        timed("litert", "dynamic_wi8_afp32", 0.024, 0.002, 330_000, quiet=quiet, slower=slower),
        timed("litert", "dynamic_wi8_afp32", 0.021, 0.002, 330_000, threads=2, quiet=quiet, slower=slower),
        timed("litert", "dynamic_wi8_afp32", 0.022, 0.002, 330_000, threads=4, quiet=quiet, slower=slower),
        timed("onnx", "dynamic_wi8_afp32", 0.055, 0.004, 345_000, quiet=quiet, explanation=why),
        timed("onnx", "fp32", 0.049, 0.004, 1_306_000, quiet=quiet),
    )
    return BenchRecord(
        kind="bench",
        subject="intent",
        task="clinc150",
        effort="normal",
        created="2026-11-21T09:30:00Z",
        texts=256,
        texts_from="the test split of clinc150",
        machine=MACHINE,
        artifacts=artifacts,
        runtimes=(
            RuntimeFiles("executorch", "1.5.1", 12_400_000, series(0.009, quiet)),
            RuntimeFiles("litert", "2.3.0", 7_900_000, series(0.002, quiet)),
            RuntimeFiles("onnx", "1.31.1", 19_800_000, series(0.004, quiet)),
        ),
        peaks=PEAKS,
        energy_source="intel-rapl:0",
        not_timed=("coreml",),
        notes=("The bundle was made from a checkout with changes.",),
    )


def sample_peers(quiet: bool = True) -> BenchRecord:
    """A record of kind "peers": one is more accurate, one smaller and faster, one has no figure."""
    return BenchRecord(
        kind="peers",
        subject="intent",
        task="clinc150",
        effort="normal",
        created="2026-11-21T11:30:00Z",
        texts=256,
        texts_from="the test split of clinc150",
        machine=MACHINE,
        peers=(
            PeerResult("TF-IDF word + character, LinearSVC", False, 0.926, 0.925, 39_110_428, series(1.31, quiet)),
            PeerResult("TF-IDF word, LinearSVC", False, 0.901, 0.9, 5_400_000, series(0.42, quiet)),
            PeerResult(
                "fastText, quantized",
                False,
                0.879,
                0.874,
                310_000,
                series(0.02, quiet),
                "epoch 25, words 1-2, quantized with a cutoff of 100,000",
            ),
            PeerResult(
                "MiniLM int8, ONNX Runtime",
                False,
                0.967,
                0.967,
                23_200_000,
                series(2.1, quiet),
                "fine-tuned for 4 epochs at 32 tokens, then quantized by quantize_dynamic",
            ),
            PeerResult("model2vec", False, note="it needs model2vec: pip install 'edgewright[peers]'"),
            PeerResult("plain <ONNX> example", False, 0.9415, 0.941, 3_390_000, series(0.094, quiet), "fp32"),
            PeerResult("edgewright litert dynamic_wi8_afp32", True, 0.941, 0.94, 861_000, series(0.047, quiet)),
            PeerResult("edgewright executorch dynamic_wi8_afp32", True, 0.9405, 0.94, 880_000, series(0.054, quiet)),
            PeerResult("edgewright onnx dynamic_wi8_afp32", True, 0.9412, 0.94, 870_000, series(0.078, quiet)),
        ),
    )


def bare_bench() -> BenchRecord:
    """The least that `edgewright bench` writes: one artifact without lengths, batches, roofline, memory or energy."""
    only = timed("onnx", "fp32", 0.049, 0.004, 1_306_000, threads=2)
    return dataclasses.replace(sample_bench(), artifacts=(only,), runtimes=(), peaks=None, energy_source=None, notes=())


def sample_comparison() -> Comparison:
    """LiteRT became 1.3 times slower, an artifact is gone and another is new."""
    base, new = sample_bench(), sample_bench(slower=1.3)
    noisy = new.artifacts[-2]
    wide = dataclasses.replace(noisy.inference, normalised_p50=Interval(0.27, 0.24, 0.33))
    artifacts = (*new.artifacts[:-2], dataclasses.replace(noisy, inference=wide))
    more = timed("onnx", "static_wi8_ai8", 0.04, 0.004, 340_000)
    return compare(base, dataclasses.replace(new, artifacts=(*artifacts, more), created="2026-11-21T10:30:00Z"))
