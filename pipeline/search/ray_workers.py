"""Workers on a Ray cluster: trials are trained where a node offers `edgewright_train`, and drafted and timed on the one
that offers `edgewright_time`, one at a time, so that nothing else of the search runs there.

    ray start --head --resources '{"edgewright_time": 1}'
    ray start --address HEAD:6379 --resources '{"edgewright_train": 4}'       on each other machine

A node that is lost takes its trials with it; each is begun anew on another one. Nodes need edgewright, its data and its
targets; each keeps a build folder of its own.
"""

import logging
import socket
import tempfile
from pathlib import Path
from typing import Any

from edgewright.errors import EdgewrightError, UsageError, missing_extra
from edgewright.pipeline.search import worker
from edgewright.pipeline.search.workers import Done, Step, done

try:
    import ray
except ImportError as error:
    raise missing_extra(error, "ray", "edgewright search --ray") from error

TRAIN, TIME = "edgewright_train", "edgewright_time"
CONNECT_SECONDS = 10.0


class RayWorkers:
    """count: how many trials at a time; None: as many as the cluster trains at once."""

    def __init__(self, address: str, count: int | None, effort: str, build: Path) -> None:
        """Raises:
        UsageError: there is no cluster at the address, or it lacks one of the two resources.
        """
        _require_answer(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"--ray {address}: no Ray cluster answers there ({reason})") from error
        offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        for name in (TRAIN, TIME):
            if offered.get(name, 0) < 1:
                ray.shutdown()
                raise UsageError(
                    f"--ray {address}: no node offers {name}; start one with ray start --resources '{{\"{name}\": 1}}'"
                )
        if offered[TIME] > 1:
            ray.shutdown()
            raise UsageError(
                f"--ray {address}: {offered[TIME]:g} {TIME} are offered; times of two places do not compare"
            )
        self._slots = count or int(offered[TRAIN])
        self._request = {"effort": effort, "build": str(build.resolve())}
        self._running: dict[Any, tuple[int, Step]] = {}

    @property
    def slots(self) -> int:
        return self._slots

    def start(self, trial: int, step: Step, recipe: Path) -> None:
        place = TIME if step in ("draft", "times") else TRAIN
        # a lost step is begun again here, where it is counted, not by Ray
        task = _remote.options(num_cpus=1, resources={place: 1}, max_retries=0)
        text = recipe.read_text(encoding="utf-8")
        self._running[task.remote(text, self._request | {"command": step})] = (trial, step)

    def next(self) -> Done:
        ready, _ = ray.wait(list(self._running), num_returns=1)
        trial, step = self._running.pop(ready[0])
        try:
            return done(trial, step, ray.get(ready[0]))
        except ray.exceptions.RayTaskError as error:  # nodes without edgewright, or with another one
            raise EdgewrightError(
                f"--ray: a node could not work on trial {trial}: {type(error.cause).__name__}"
            ) from error
        except ray.exceptions.RayError as error:
            return Done(trial, step, lost=f"its machine or process is gone ({type(error).__name__})")

    def close(self) -> None:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Ray would try for minutes to reach an address where nothing listens."""
    host, _, port = address.rpartition(":")
    if address == "auto" or not port.isdecimal():
        return  # Ray says at once what is wrong with it
    try:
        socket.create_connection((host.removeprefix("ray://"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--ray {address}: no Ray cluster answers there ({error})") from error


@ray.remote
def _remote(text: str, request: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "trial.toml"
        recipe.write_text(text, encoding="utf-8")
        return worker.answer(request | {"recipe": str(recipe)})
