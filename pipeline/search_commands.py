"""What `edgewright search` does: the trials, then what came of them, as a record, a page and a recipe."""

import dataclasses
import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.benchmarks import search_record
from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.reports import search_report
from edgewright.benchmarks.search_record import SearchedRange, SearchedSpace, SearchRecord, Trial
from edgewright.compress.numerics import TARGETS
from edgewright.data import sources
from edgewright.data.files import write_json, write_text
from edgewright.errors import EdgewrightError, UsageError
from edgewright.pipeline import examples
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.extras import require_extras
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort
from edgewright.pipeline.search import study as studies
from edgewright.pipeline.search import trial as trials
from edgewright.pipeline.search.local import LocalWorkers
from edgewright.pipeline.search.space import Space, example, space_of
from edgewright.pipeline.search.study import MOST_LOSSES, Search
from edgewright.pipeline.search.toml import recipe_text
from edgewright.pipeline.search.workers import Workers
from edgewright.pipeline.timing import NOT_TIMED

NEAREST = 3  # shown where nothing fits
MOST_WORKERS = 256


@dataclasses.dataclass(frozen=True)
class Asked:
    """The options of the command, as they were given."""

    recipe: str
    max_ms: float | None
    max_bytes: str | None
    trials: int
    workers: int | None
    ray: str | None
    targets: Sequence[str]
    effort: Effort
    build: Path
    out: Path


def search(asked: Asked, reporter: Reporter) -> SearchRecord:
    """Search, and write `out`/search.json, search.md, search.html, and <recipe>-found.toml where a trial fits.

    Raises:
        UsageError: the options, the recipe or its [search] table. MissingExtraError: a target's libraries.
    """
    wanted = read(asked)
    with studies.locked(asked.out) as lock:
        study = studies.open_study(wanted, reporter.say)
        workers = _workers(asked, wanted, lock, reporter)
        try:
            losses = studies.run(wanted, study, workers, reporter.say)
            found = studies.trials_of(study)
            chosen = search_record.chosen_of(found)
            test = {} if chosen is None else _test(workers, chosen, asked.out / _of(found, chosen).recipe)
        finally:
            workers.close()
        record = assemble(wanted, found, test, losses)
        if chosen is not None and record.found is not None:
            plain = wanted.recipe_of(_of(found, chosen).settings)
            write_text(asked.out / record.found, recipe_text(plain, search_report.sentence(record)))
        write_json(asked.out / "search.json", search_record.to_json(record))
        write_text(asked.out / "search.md", search_report.markdown(record))
        write_text(asked.out / "search.html", search_report.html(record))
    return record


def read(asked: Asked) -> Search:
    """The options checked, with a point of each family planned, so that what is wrong is told before the work."""
    max_bytes = _bytes(asked.max_bytes)
    for name, value in (("--max-ms", asked.max_ms), ("--trials", asked.trials), ("--workers", asked.workers)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}: must be a number above 0, not {value:g}")
    if asked.workers is not None and asked.workers > MOST_WORKERS:
        raise UsageError(f"--workers: at most {MOST_WORKERS}, not {asked.workers}")
    if unknown := [one for one in asked.targets if one not in TARGETS]:
        raise UsageError(f"--target: '{unknown[0]}' is none of {', '.join(TARGETS)}")
    recipe = recipes.read(recipes.find(asked.recipe)).for_effort(asked.effort)
    task = recipe.task_with_gates()
    examples.require_labels(task.kind, "search")
    targets = tuple(one for one in TARGETS if one in asked.targets)
    space = space_of(recipe, targets)
    require_extras(space.targets)
    wanted = Search(
        *(recipe, space, asked.effort, asked.build, asked.out, asked.max_ms, max_bytes, asked.trials),
        metric=task.primary_metric,
        seed=recipe.seeds[0],
    )
    for family in space.families:
        trials.plan(wanted.recipe_of(example(space, family)), asked.effort, asked.build)
    return wanted


def assemble(wanted: Search, found: Sequence[Trial], test: dict[str, Any], losses: int) -> SearchRecord:
    """The record of a search whose trials are all made."""
    chosen = search_record.chosen_of(found)
    nearest = [] if chosen is not None else _nearest(wanted, found)
    source = sources.find(wanted.recipe.task_with_gates().source)
    return SearchRecord(
        recipe=wanted.recipe.name,
        task=wanted.recipe.task,
        metric=wanted.metric,
        effort=wanted.effort,
        seed=wanted.seed,
        max_ms=wanted.max_ms,
        max_bytes=wanted.max_bytes,
        targets=wanted.space.targets,
        trials=tuple(found),
        front=search_record.front_of(found),
        chosen=chosen,
        nearest=tuple(one.number for one in nearest),
        relax=_relax(wanted, nearest[0]) if nearest else None,
        found=None if chosen is None else f"{wanted.recipe.name}-found.toml",
        test=test,
        space=_searched(wanted.space),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=fingerprint(),
        lost=losses,
        generated=source.generated,
        data=source.name,
        data_fingerprint=sources.fingerprint(source, wanted.recipe.data.count, wanted.recipe.data.seed),
        notes=_notes(wanted, found),
    )


def _searched(space: Space) -> SearchedSpace:
    families = {
        name: {key: SearchedRange(**dataclasses.asdict(one)) for key, one in ranges.items()}
        for name, ranges in space.families.items()
    }
    forms = {name: {str(target): str(one) for target, one in cells.items()} for name, cells in space.forms.items()}
    return SearchedSpace(families, forms, space.targets, space.one)


def _workers(asked: Asked, wanted: Search, lock: int, reporter: Reporter) -> Workers:
    if asked.ray is not None:
        from edgewright.pipeline.search.ray_workers import RayWorkers

        return RayWorkers(asked.ray, asked.workers, asked.effort, asked.build)
    # before there are several processes that would each train the teachers
    family = next(iter(wanted.space.families))
    first = trials.plan(wanted.recipe_of(example(wanted.space, family)), asked.effort, asked.build)
    trials.make_shared(first, reporter.say)
    return LocalWorkers(asked.workers or 1, asked.effort, asked.build, lock)


def _test(workers: Workers, number: int, recipe: Path) -> dict[str, Any]:
    """The figures of the chosen trial on the test split, which no other trial sees."""
    for _ in range(MOST_LOSSES):
        workers.start(number, "test", recipe)
        done = workers.next()
        if done.answer is not None:
            return done.answer
        if done.lost is None:
            raise EdgewrightError(str(done.refused or done.failed))
    raise EdgewrightError(f"trial {number} was lost {MOST_LOSSES} times on the test split; run the search again")


def _nearest(wanted: Search, found: Sequence[Trial]) -> list[Trial]:
    """Those over the budget whose worst miss is the least; a trial that was not timed may miss more than it shows, and
    comes after those that were."""

    def miss(trial: Trial) -> tuple[bool, float, int]:
        missed = search_record.misses(trial, wanted.max_ms, wanted.max_bytes)
        untimed = wanted.max_ms is not None and "max_ms" not in missed and set(trial.targets) - set(NOT_TIMED) != set()
        return untimed, max(missed.values(), default=0.0), trial.number

    return sorted((one for one in found if one.verdict == "over_budget"), key=miss)[:NEAREST]


def _relax(wanted: Search, nearest: Trial) -> str:
    """Which bounds would let the nearest trial in."""
    over = search_record.misses(nearest, wanted.max_ms, wanted.max_bytes)
    words = []
    if over.get("max_bytes", 0) > 0:
        words.append(f"--max-bytes {nearest.shipped_bytes:_}")
    if over.get("max_ms", 0) > 0 and nearest.p50_ms is not None:
        words.append(f"--max-ms {(nearest.p50_ms.high or nearest.p50_ms.value) * 1.02:.2g}")
    elif wanted.max_ms is not None and nearest.p50_ms is None:
        words.append("and its time was not measured")
    return f"trial {nearest.number} would fit {', '.join(words)}" if words else "no bound: relax the recipe's ranges"


def _notes(wanted: Search, found: Sequence[Trial]) -> tuple[str, ...]:
    notes = []
    refused = sum(one.verdict == "refused" for one in found)
    if refused:
        notes.append(f"{refused} of {len(found)} points cannot be made; the table says why.")
    if any(figures.quiet is False for one in found for figures in one.targets.values()):
        notes.append("The machine had other work during some timings: their intervals are wider, and bounds stricter.")
    if untimed := [target for target in wanted.space.targets if target in NOT_TIMED]:
        notes.append(f"Not timed here, so only judged by bytes and score: {', '.join(untimed)}.")
    return tuple(notes)


def _of(found: Sequence[Trial], number: int) -> Trial:
    return next(one for one in found if one.number == number)


def _bytes(given: str | None) -> int | None:
    """500_000 or 500000."""
    if given is None:
        return None
    try:
        value = int(given)
    except ValueError as error:
        raise UsageError(f"--max-bytes: '{given}' is no number of bytes, such as 500_000") from error
    if value <= 0:
        raise UsageError(f"--max-bytes: must be above 0, not {value}")
    return value
