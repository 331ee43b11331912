"""The search itself: Optuna proposes points, workers make them, and what they gave is told.

Only this process speaks with Optuna, and a lock on the folder keeps a second search out. So a trial that the database
calls running when a search starts was cut off by a kill: its point is queued again.
"""

import fcntl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgewright.benchmarks.record import Interval, plain
from edgewright.benchmarks.search_record import TargetFigures, Trial, Verdict, misses, worst
from edgewright.data.files import write_text
from edgewright.errors import DamagedFileError, EdgewrightError, UsageError, missing_extra
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.search.space import Space, own_point, recipe_of, suggest
from edgewright.pipeline.search.toml import recipe_text
from edgewright.pipeline.search.trial import is_drafted
from edgewright.pipeline.search.workers import Done, Workers

try:
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError  # optuna keeps its trials through it
except ImportError as error:
    raise missing_extra(error, "search", "edgewright search") from error

NAME = "search"
MOST_LOSSES = 3  # of one trial; after that it is the trial that ends its process
PATIENCE_SECONDS = 15.0  # for the processes of a search that was killed to be gone
Say = Callable[[str], None]


@dataclass(frozen=True)
class Search:
    """What is searched. recipe: as its effort makes it. metric: of the task, by which the best is chosen."""

    recipe: Recipe
    space: Space
    effort: Effort
    build: Path
    out: Path
    max_ms: float | None
    max_bytes: int | None
    trials: int
    metric: str
    seed: int = 0

    def gates(self) -> dict[str, Any]:
        """The budget as gates of a recipe, which never loosen its own."""
        own = self.recipe.task_with_gates().targets
        found: dict[str, Any] = {}
        if self.max_bytes is not None:
            found["max_shipped_bytes"] = min(self.max_bytes, own.max_shipped_bytes or self.max_bytes)
        if self.max_ms is not None:
            found["max_text_to_label_p50_ms"] = min(self.max_ms, own.max_text_to_label_p50_ms or self.max_ms)
        return found

    def recipe_of(self, settings: dict[str, Any]) -> Recipe:
        return recipe_of(self.recipe, self.space, settings, self.gates())

    def arguments(self) -> dict[str, Any]:
        """What must be the same for a search to go on, by its name for a person."""
        return {
            "the recipe": recipe_text(self.recipe, ""),
            "its space": self.space.to_json(),
            "--max-ms": self.max_ms,
            "--max-bytes": self.max_bytes,
            "--effort": self.effort,
        }


@contextmanager
def locked(out: Path) -> Iterator[int]:
    """A file descriptor that keeps other searches out of the folder while this process or an heir of it has it open.

    Raises:
        UsageError: another search works there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "search.lock").open("w") as file:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise UsageError(
                        f"{out}: another search works in this folder; wait, or give another --out"
                    ) from error
                time.sleep(0.2)
        yield file.fileno()


def open_study(search: Search, say: Say) -> optuna.Study:
    """The study under `out`, new or to go on with.

    Raises:
        UsageError: it holds a search of other settings. DamagedFileError: its database cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = _load(search)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:  # RuntimeError: another version's
        raise DamagedFileError(
            f"{search.out / 'search.db'}: no database of a search that can be read; delete it, or give another --out"
        ) from error
    _same_arguments(study, search)
    trials = study.get_trials(deepcopy=False)
    if not trials and (point := own_point(search.recipe, search.space)):
        study.enqueue_trial(point)
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
            say(f"trial {trial.number} was cut off: it is made again")
    return study


def _load(search: Search) -> optuna.Study:
    storage = optuna.storages.RDBStorage(f"sqlite:///{(search.out / 'search.db').resolve()}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            directions=["maximize", "minimize", "minimize"],  # score, bytes, milliseconds
            load_if_exists=True,
        )
        # a search that goes on shall not draw again what it drew before
        seed = search.seed + len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
    return study


def _same_arguments(study: optuna.Study, search: Search) -> None:
    given = search.arguments()
    known = study.user_attrs.get("arguments")
    if known is None:
        study.set_user_attr("arguments", given)
        return
    changed = [name for name, value in plain(given).items() if known.get(name) != value]
    if changed:
        raise UsageError(
            f"{search.out}: holds a search with another {changed[0].removeprefix('the ').removeprefix('its ')}; "
            "give another --out, or delete it"
        )


def trials_of(study: optuna.Study) -> tuple[Trial, ...]:
    """Every trial that ended, in the order in which they began."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.COMPLETE:
            found.append(_read(trial.user_attrs["result"]))
    return tuple(found)


@dataclass
class _Flight:
    """A trial that is being made."""

    trial: optuna.Trial
    settings: dict[str, Any]
    recipe: Path
    drafted: bool
    started: float = field(default_factory=time.monotonic)
    losses: int = 0
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)  # fields of TargetFigures
    weights: str | None = None
    trained: bool = False


def run(search: Search, study: optuna.Study, workers: Workers, say: Say) -> int:
    """Work until the study has so many trials that ended; answers how often a step was lost and done again.

    Raises:
        EdgewrightError: what no trial would escape, or a trial that ends its process again and again.
    """
    left = search.trials - len(trials_of(study))
    flights: dict[int, _Flight] = {}
    losses = 0
    while True:
        while len(flights) < min(left, workers.slots):
            flight = _begin(search, study)
            flights[flight.trial.number] = flight
            workers.start(flight.trial.number, "draft" if flight.drafted else "train", flight.recipe)
        if not flights:
            return losses
        done = workers.next()
        flight = flights[done.trial]
        if done.failed is not None:
            raise EdgewrightError(done.failed)
        if done.lost is not None:
            losses += 1
            flight.losses += 1
            if flight.losses >= MOST_LOSSES:
                raise EdgewrightError(
                    f"trial {done.trial} was lost {MOST_LOSSES} times: {done.lost}; see {flight.recipe}"
                )
            say(f"trial {done.trial}: {done.lost}; it is made again")
            workers.start(done.trial, done.step, flight.recipe)
            continue
        following = _take(search, flight, done)
        if following is not None:
            workers.start(done.trial, following, flight.recipe)  # type: ignore[arg-type]  # a step
            continue
        del flights[done.trial]
        left -= 1
        _tell(search, study, flight, done.refused, say)


def _begin(search: Search, study: optuna.Study) -> _Flight:
    trial = study.ask()
    settings = suggest(search.space, trial)
    recipe = search.recipe_of(settings)
    said = ", ".join(f"{key} {value}" for key, value in settings.items())
    path = search.out / "trials" / f"{trial.number:04}.toml"
    write_text(path, recipe_text(recipe, f"Trial {trial.number} of a search from {search.recipe.name}: {said}"))
    return _Flight(trial, settings, path, is_drafted(recipe))


def _take(search: Search, flight: _Flight, done: Done) -> str | None:
    """Keep what a step gave; the step that follows, None where the trial ends."""
    if done.answer is None:
        return None
    if done.step == "times":
        for target, timed in done.answer.items():
            flight.targets[target] |= timed
    elif done.step == "draft":
        flight.targets = {target: _sized(size) for target, size in done.answer.items()}
    else:
        flight.trained, flight.weights = True, done.answer["weights"]
        for target, size in done.answer["sizes"].items():
            score = done.answer["scores"][target][search.metric]
            flight.targets[target] = flight.targets.get(target, {}) | _sized(size) | {"score": score}
    over = any(miss > 0 for miss in misses(_result(search, flight, None), search.max_ms, search.max_bytes).values())
    if over:
        return None
    return {"draft": "times", "times": None if flight.trained else "train"}.get(
        done.step, None if flight.drafted else "times"
    )


def _sized(size: dict[str, Any]) -> dict[str, Any]:
    return {"numerics": size["numerics"], "shipped_bytes": size["shipped_bytes"]}


def _tell(search: Search, study: optuna.Study, flight: _Flight, refused: str | None, say: Say) -> None:
    """A trial that cannot be made, or breaks the budget, is complete too: Optuna learns from it what to avoid."""
    result = _result(search, flight, refused)
    found = misses(result, search.max_ms, search.max_bytes)
    flight.trial.set_user_attr("result", asdict(result))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        flight.trial.set_constraint("made", 0.0 if refused is None else 1.0)
        for name in ("max_bytes", "max_ms"):
            flight.trial.set_constraint(name, found.get(name, 0.0))
    # of a trial that is not feasible the values do not count, but Optuna wants some
    time_ms = result.p50_ms.value if result.p50_ms else search.max_ms or 0.0
    study.tell(flight.trial, [result.score or 0.0, float(result.shipped_bytes or 0), time_ms])
    score = "not trained" if result.score is None else f"{search.metric} {result.score:.4f}"
    size = "" if result.shipped_bytes is None else f", {result.shipped_bytes / 1e6:.3f} MB"
    p50 = "" if result.p50_ms is None else f", {result.p50_ms.value:.3f} ms"
    say(f"trial {result.number}: {score}{size}{p50}{'' if result.reason is None else f'  ({result.reason})'}")


def _result(search: Search, flight: _Flight, refused: str | None) -> Trial:
    targets = {target: _target(values) for target, values in flight.targets.items()}
    score, size, p50 = worst(list(targets.values()))
    result = Trial(
        number=flight.trial.number,
        settings=flight.settings,
        verdict="fits",
        recipe=str(flight.recipe.relative_to(search.out)),
        trained=flight.trained,
        score=score,
        shipped_bytes=size,
        p50_ms=p50,
        targets=targets,
        weights=flight.weights,
        seconds=round(time.monotonic() - flight.started, 1),
    )
    verdict: Verdict = "fits"
    reason = None
    over = {name: miss for name, miss in misses(result, search.max_ms, search.max_bytes).items() if miss > 0}
    if refused is not None:
        verdict, reason = "refused", refused.removeprefix(f"{flight.recipe}: ")
    elif over:
        verdict = "over_budget"
        reason = " and ".join(f"{100 * miss:.0f} % above --{name.replace('_', '-')}" for name, miss in over.items())
    return Trial(**{**vars(result), "verdict": verdict, "reason": reason})


def _target(values: dict[str, Any]) -> TargetFigures:
    p50 = values.get("p50_ms")
    return TargetFigures(**{**values, "p50_ms": Interval(**p50) if p50 else None})


def _read(values: dict[str, Any]) -> Trial:
    p50 = values["p50_ms"]
    targets = {name: _target(one) for name, one in values["targets"].items()}
    return Trial(**{**values, "p50_ms": Interval(**p50) if p50 else None, "targets": targets})
