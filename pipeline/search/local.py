"""Workers on this machine: processes with one thread each, which stand still while a latency is measured.

They are stopped with SIGSTOP and go on with SIGCONT, wherever they are: in the middle of an epoch, of an export or of a
teacher. Each leads a process group, so that what it started stops with it. Should the search be killed meanwhile, the
system wakes and ends them: a stopped process group whose parent dies gets SIGHUP and SIGCONT.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edgewright.benchmarks.machine import usable_cpus
from edgewright.pipeline.search import worker
from edgewright.pipeline.search.workers import Done, Step, done

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class Process:
    """One worker process. trial, step: what it is doing; None while it waits."""

    def __init__(self, cpu: int, lock: int | None) -> None:
        self.trial: int | None = None
        self.step: Step = "draft"
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "edgewright.pipeline.search.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | ONE_THREAD | {"PYTHONUTF8": "1"},
            process_group=0,
            pass_fds=() if lock is None else (lock,),
        )
        if hasattr(os, "sched_setaffinity"):
            try:
                os.sched_setaffinity(self.popen.pid, {cpu})
            except OSError:
                pass  # a container may forbid it

    def ask(self, trial: int, step: Step, request: dict[str, str]) -> None:
        self.trial, self.step = trial, step
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(json.dumps(request | {"command": step}).encode() + b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass  # its end is read from stdout

    def hear(self) -> Done:
        """Its answer, for which it may be waited."""
        assert self.popen.stdout is not None and self.trial is not None
        trial, self.trial = self.trial, None
        line = self.popen.stdout.readline()
        if line.endswith(b"\n"):
            return done(trial, self.step, json.loads(line))
        return Done(trial, self.step, lost=self._epitaph())

    def _epitaph(self) -> str:
        code = self.popen.wait()
        if code < 0:
            return f"its process was ended by signal {-code}"
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"its process ended with exit code {code}: {last[:200]}"

    def stop(self) -> None:
        """Returns when it stands still, or is gone."""
        _signal(self.popen.pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # gone, and already waited for

    def go_on(self) -> None:
        _signal(self.popen.pid, signal.SIGCONT)

    def close(self) -> None:
        _signal(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


class LocalWorkers:
    """A fixed number of processes. lock: a file descriptor that they inherit: open as long as one of them lives."""

    def __init__(self, count: int, effort: str, build: Path, lock: int | None = None) -> None:
        self._lock = lock
        self._request = {"effort": effort, "build": str(build.resolve())}
        self._cpus = usable_cpus()
        self._processes = [self._process(place) for place in range(count)]
        self._times: deque[tuple[int, Path]] = deque()  # trials that wait for being timed

    def _process(self, place: int) -> Process:
        return Process(self._cpus[place % len(self._cpus)], self._lock)

    @property
    def slots(self) -> int:
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        return [process.popen.pid for process in self._processes]

    def start(self, trial: int, step: Step, recipe: Path) -> None:
        if step == "times":
            self._times.append((trial, recipe))
            return
        free = next(process for process in self._processes if process.trial is None)
        free.ask(trial, step, self._request | {"recipe": str(recipe.resolve())})

    def next(self) -> Done:
        if self._times:
            trial, recipe = self._times.popleft()
            with self.paused():
                said = worker.answer(self._request | {"recipe": str(recipe), "command": "times"})
            return done(trial, "times", said)
        with selectors.DefaultSelector() as selector:
            for process in self._processes:
                if process.trial is not None:
                    assert process.popen.stdout is not None
                    selector.register(process.popen.stdout, selectors.EVENT_READ, process)
            key, _ = selector.select()[0]
        answered: Process = key.data
        heard = answered.hear()
        if heard.lost is not None:
            place = self._processes.index(answered)
            answered.close()
            self._processes[place] = self._process(place)
        return heard

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No worker computes meanwhile."""
        try:
            for process in self._processes:
                process.stop()
            yield
        finally:
            for process in self._processes:
                process.go_on()

    def close(self) -> None:
        for process in self._processes:
            process.close()


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # it is gone
