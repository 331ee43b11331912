"""Worker processes: start one, ask it, end it. Every figure of time or memory is taken in one of these."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from types import TracebackType
from typing import IO, Any

from edgewright import errors
from edgewright.benchmarks.machine import usable_cpus
from edgewright.errors import EdgewrightError

PATIENCE_S = 300.0  # loading PyTorch on a busy machine takes a minute


class Worker:
    """A `benchmarks.worker` process, as a context manager."""

    def __init__(self, name: str, threads: int = 1) -> None:
        """name: of the job, for messages."""
        self.name = name
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        # OpenBLAS would otherwise start a thread a core for the reference workload
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgewright.benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            env=environment,
        )

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The worker's answer.

        Raises:
            EdgewrightError: the worker's own explained error, or one line that says how the process ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        alarm = threading.Timer(PATIENCE_S, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            raise EdgewrightError(f"benchmark of {self.name}: {self._epitaph(command)}")
        answer = json.loads(line)
        if "ok" in answer:
            return answer["ok"]
        kind = getattr(errors, answer["error"], None) or EdgewrightError
        raise kind(f"benchmark of {self.name}: {answer['message']}")

    def _epitaph(self, command: str) -> str:
        code = self._process.wait()
        if code < 0:
            return f"the process was ended by signal {-code} during '{command}'; its runtime crashed or was too slow"
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"the process ended with exit code {code} during '{command}': {last}"

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._process.kill()  # do not wait for a block that nobody will read
        self.close()


def cpus_for(threads: int) -> list[int] | None:
    """The CPUs to pin a worker to: the last ones, since the first ones serve most interrupts; None for all."""
    usable = usable_cpus()
    return usable[-threads:] if threads < len(usable) else None
