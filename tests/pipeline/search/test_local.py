"""Workers on this machine: still while a latency is measured, gone when the search is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.pipeline.search.local import LocalWorkers

SECONDS = 10.0  # how long something may take that happens at once on an idle machine


def cpu_ticks(pid: int) -> int:
    """Of the process itself, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def state(pid: int) -> str:
    """R, S, T (stopped), …; "" of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def wait_until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A trial that trains for minutes."""
    from tests.end_to_end.runs import SMALL

    path = tmp_path / "long.toml"
    text = SMALL.replace("epochs = 6", "epochs = 500").replace("[gates]", 'targets = ["onnx"]\n[gates]')
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_no_worker_computes_while_a_latency_is_measured(recipe: Path, tmp_path: Path) -> None:
    workers = LocalWorkers(2, "rapid", tmp_path / "build")
    try:
        for number in range(2):
            workers.start(number, "train", recipe)
        for pid in workers.pids:
            wait_until(lambda pid=pid: cpu_ticks(pid) > 20)
        with workers.paused():
            assert [state(pid) for pid in workers.pids] == ["T", "T"]
            before = [cpu_ticks(pid) for pid in workers.pids]
            time.sleep(0.5)
            assert [cpu_ticks(pid) for pid in workers.pids] == before
        for pid, ticks in zip(workers.pids, before, strict=True):
            wait_until(lambda pid=pid, ticks=ticks: cpu_ticks(pid) > ticks)
    finally:
        workers.close()
    assert [state(pid) in ("", "Z") for pid in workers.pids] == [True, True]


def test_a_worker_that_dies_is_replaced_and_its_step_is_lost(recipe: Path, tmp_path: Path) -> None:
    workers = LocalWorkers(1, "rapid", tmp_path / "build")
    try:
        workers.start(7, "train", recipe)
        first = workers.pids[0]
        os.kill(first, signal.SIGKILL)
        done = workers.next()
        assert (done.trial, done.step, done.answer) == (7, "train", None)
        assert done.lost == "its process was ended by signal 9" and workers.pids != [first]
    finally:
        workers.close()


def test_a_point_that_cannot_be_made_is_refused_with_its_reason(tmp_path: Path) -> None:
    from tests.end_to_end.runs import SMALL

    path = tmp_path / "odd.toml"
    path.write_text(SMALL.replace("width = 16", "width = -1"), encoding="utf-8")
    workers = LocalWorkers(1, "rapid", tmp_path / "build")
    try:
        workers.start(0, "draft", path)
        done = workers.next()
        assert done.answer is None and done.refused is not None and done.refused.startswith("RuntimeError at line ")
    finally:
        workers.close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("moment", ["working", "paused"])
def test_workers_end_with_a_search_that_is_killed(moment: str, recipe: Path, tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from edgewright.pipeline.search.local import LocalWorkers
workers = LocalWorkers(1, "rapid", Path({str(tmp_path / "build")!r}))
workers.start(0, "train", Path({str(recipe)!r}))
time.sleep(1)
if {moment!r} == "paused":
    workers.paused().__enter__()
print(*workers.pids, flush=True)
time.sleep(100)
"""
    search = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert search.stdout is not None
    pids = [int(one) for one in search.stdout.readline().split()]
    assert [state(pid) for pid in pids] != [""]
    search.kill()
    search.wait()
    for pid in pids:
        wait_until(lambda pid=pid: state(pid) in ("", "Z"))
