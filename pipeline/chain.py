"""The stages that make a model: data, tokenizer, then for each seed train, distil, prune, train on the grid.

A recipe that distils names teachers. Their stages stand in the same graph, so that a teacher that another run trained
is not trained again; each is asked once for its answers.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.compress.distill import DistillConfig
from edgewright.data import sources
from edgewright.data.tasks import Task
from edgewright.errors import UsageError
from edgewright.models import pretrained
from edgewright.pipeline import compression, examples, tables, teach
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.compression import Before
from edgewright.pipeline.graph import Stage, folder_of
from edgewright.pipeline.makers import MAKERS
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe

DATA = ("edgewright.data",)
# how PyTorch answers: another runtime's change is no reason to ask a teacher anew and train its students again
PREDICT = (
    *(f"edgewright.runtimes.{name}" for name in ("answers", "pytorch", "stream", "generator")),
    "edgewright.data",
)
LEARN = ("edgewright.models", "edgewright.train", "edgewright.data.dataset")
DISTIL = ("edgewright.compress.distill", "edgewright.compress.hidden", "edgewright.data.transfer")


@dataclass(frozen=True)
class Step:
    """One step of the recipe. models: the stage of each seed. words: the stage whose folder holds the tokenizer of
    these models. reference: the best seed, and its answers."""

    name: str
    models: dict[int, Stage]
    words: Stage
    reference: Stage


@dataclass(frozen=True)
class Chain:
    """steps: those that the recipe has, in order. teachers: of each recipe that teaches, tokenizer and reference."""

    data: Stage
    steps: tuple[Step, ...]
    teachers: dict[str, tuple[Stage, Stage]]

    @property
    def last(self) -> Step:
        return self.steps[-1]


@dataclass(frozen=True)
class _Context:
    recipe: Recipe
    task: Task
    effort: Effort
    build: Path
    reporter: Reporter
    owner: str  # "" for the recipe that is run, else a teacher's name

    def folder(self, stage: Stage) -> Path:
        return folder_of(self.build, stage)


def chain(recipe: Recipe, task: Task, effort: Effort, build: Path, reporter: Reporter, owner: str = "") -> Chain:
    """The steps of the recipe at this effort; nothing is made yet.

    Raises:
        UsageError: a teacher's recipe is missing, wrong, of another task, or needs this one to be taught itself.
    """
    compression.check(recipe, task)
    context = _Context(recipe, task, effort, build, reporter, owner)
    data = _data_stage(context)
    tokenizer = _tokenizer_stage(context, data)
    models = {seed: _train_stage(context, data, tokenizer, seed) for seed in recipe.seeds}
    steps = [_step(context, "train", data, tokenizer, models)]
    config = compression.distill_config(recipe)
    named = [one.name for one in config.teachers] if config else []
    teachers = {name: _teacher(context, name) for name in named if name != teach.TFIDF}
    similar = _neighbours_stage(context, config, data) if config and config.transfer.similar else None
    taught = [_teach_stage(context, config, name, data, similar, teachers.get(name)) for name in named if config]
    for name in compression.steps(recipe):
        before = steps[-1]
        fresh = name == "distill" and config is not None and config.start == "fresh"
        models = {
            seed: _compress_stage(context, name, seed, data, before.words, None if fresh else model, taught, similar)
            for seed, model in before.models.items()
        }
        # the smaller vocabulary is that of the training texts, not of a seed: all models of the step have the same
        words = models[recipe.seeds[0]] if compression.changes_words(recipe, name) else before.words
        steps.append(_step(context, name, data, words, models))
    last = steps[-1]
    last = replace(last, reference=_reference_stage(context, "reference", data, last.words, last.models))
    known = {Path(name).stem: (learnt.words, learnt.reference) for name, (_, learnt) in teachers.items()}
    return Chain(data, (*steps[:-1], last), known)


def _data_stage(context: _Context) -> Stage:
    recipe, task = context.recipe, context.task
    return Stage(
        "data",
        lambda to, _: MAKERS[task.kind].data(recipe, task, to),
        settings=rows(recipe, task),
        code=DATA,
        owner=context.owner,
    )


def _tokenizer_stage(context: _Context, data: Stage) -> Stage:
    recipe, task = context.recipe, context.task
    return Stage(
        "tokenizer",
        lambda to, _: MAKERS[task.kind].tokenizer(recipe, task, to),
        after=(data,),
        settings={"tokenizer": recipe.tokenizer, **lengths(recipe), **tables.pretrained_files(recipe)},
        code=DATA,
        libraries=("tokenizers",),
        owner=context.owner,
    )


def _train_stage(context: _Context, data: Stage, tokenizer: Stage, seed: int) -> Stage:
    recipe, task, folder = context.recipe, context.task, context.folder
    return Stage(
        f"train-seed{seed}",
        lambda to, kept: MAKERS[task.kind].model(
            recipe, task, seed, folder(data), folder(tokenizer), to, kept, context.reporter
        ),
        after=(data, tokenizer),
        settings={"model": recipe.model, "train": recipe.train, "seed": seed, **lengths(recipe)}
        | tables.pretrained_files(recipe),
        code=LEARN,
        libraries=("torch", "numpy"),
        joint=True,
        owner=context.owner,
    )


def _neighbours_stage(context: _Context, config: DistillConfig, data: Stage) -> Stage:
    """The similar words of the training texts' words."""
    recipe, task, folder = context.recipe, context.task, context.folder
    encoder = pretrained.folder_of(config.transfer.words_of, recipe.path.parent)
    return Stage(
        "neighbours",
        lambda to, _: teach.make_neighbours(recipe, task, config, folder(data), to),
        after=(data,),
        settings={"encoder": pretrained.digests(encoder)},
        code=("edgewright.compress.neighbours", "edgewright.models"),
        libraries=("torch", "numpy"),
        owner=context.owner,
    )


def _teach_stage(
    context: _Context,
    config: DistillConfig,
    name: str,
    data: Stage,
    similar: Stage | None,
    made: tuple[Recipe, Step] | None,
) -> Stage:
    """The answers of one teacher, behind the stages that train it; without `made` those of TF-IDF."""
    recipe, task, folder = context.recipe, context.task, context.folder
    words = None if similar is None else folder(similar)
    teacher = None
    if made is not None:
        other, learnt = made
        teacher = teach.Trained(folder(learnt.words), folder(learnt.reference), other.export.lengths[-1])
    return Stage(
        f"teach-{Path(name).stem}",
        lambda to, kept: teach.make_answers(
            recipe, task, config, folder(data), words, teacher, to, kept, context.reporter
        ),
        after=(
            data,
            *([] if similar is None else [similar]),
            *([] if made is None else [made[1].words, made[1].reference]),
        ),
        settings={
            "transfer": asdict(config.transfer),
            "hidden": bool(config.hidden),
            "attention": bool(config.attention),
        }
        | ({} if teacher is None else {"longest": teacher.longest}),
        code=("edgewright.pipeline.teach", "edgewright.compress.hidden", *DATA),
        libraries=("scikit-learn",) if made is None else ("torch",),
        owner=context.owner,
    )


def _teacher(context: _Context, name: str) -> tuple[Recipe, Step]:
    """The recipe of a teacher and its last step. A teacher is trained with one seed at every effort."""
    recipe, place = context.recipe, f"{context.recipe.path}: distill.teachers"
    beside = recipe.path.parent / name
    path = beside if beside.is_file() else recipes.find(name)
    if not path.is_file():
        known = ", ".join([*sorted(recipes.packaged()), teach.TFIDF])
        raise UsageError(f"{place}: no recipe '{name}'; give a .toml file, or one of: {known}")
    other = recipes.read(path).for_effort(context.effort)
    other = replace(other, seeds=other.seeds[:1])
    if other.task != recipe.task:
        raise UsageError(f"{place}: {name} learns the task '{other.task}', not '{recipe.task}'")
    if context.owner.count("/") > 2 or other.path == recipe.path:
        raise UsageError(f"{place}: {name} would have to be taught by itself; name another teacher")
    task = other.task_with_gates()
    tables.check(other)
    owner = f"{context.owner}/{other.name}".removeprefix("/")
    return other, chain(other, task, context.effort, context.build, context.reporter, owner).last


def _compress_stage(
    context: _Context,
    name: str,
    seed: int,
    data: Stage,
    words: Stage,
    model: Stage | None,
    taught: Sequence[Stage],
    similar: Stage | None,
) -> Stage:
    recipe, task, folder = context.recipe, context.task, context.folder
    before = Before(
        data=folder(data),
        tokenizer=folder(words),
        model=None if model is None else folder(model),
        answers=tuple(folder(one) for one in taught),
        similar=None if similar is None else folder(similar),
    )
    make = compression.MAKE[name]
    return Stage(
        f"{name}-seed{seed}",
        lambda to, kept: make(recipe, task, seed, before, to, kept, context.reporter),
        after=(data, words, *([] if model is None else [model]), *([] if similar is None else [similar]), *taught),
        settings={name: getattr(recipe, name), "seed": seed, **lengths(recipe)}
        | ({"model": recipe.model} if model is None else {})
        # what the later steps learn by
        | ({"distill": recipe.distill} if recipe.distill else {"train": recipe.train})
        | ({"quantize": asdict(recipe.quantize)} if name == "qat" else {}),
        code=(*LEARN, *compression.CODE[name], *(DISTIL if taught else ())),
        libraries=("torch", "numpy", *(("torch-pruning",) if name == "prune" else ())),
        owner=context.owner,
    )


def _step(context: _Context, name: str, data: Stage, words: Stage, models: dict[int, Stage]) -> Step:
    return Step(name, models, words, _reference_stage(context, f"reference-{name}", data, words, models))


def _reference_stage(context: _Context, name: str, data: Stage, words: Stage, models: dict[int, Stage]) -> Stage:
    recipe, task, effort, folder = context.recipe, context.task, context.effort, context.folder
    made_by = MAKERS[task.kind]
    return Stage(
        name,
        lambda to, _: made_by.reference(
            recipe,
            task,
            effort,
            folder(data),
            folder(words),
            {seed: folder(stage) for seed, stage in models.items()},
            to,
            context.reporter,
        ),
        after=(data, words, *models.values()),
        settings=evaluated(recipe, task, effort) | lengths(recipe),
        code=(*made_by.code, "edgewright.train", *PREDICT),
        libraries=("torch",),
        owner=context.owner,
    )


def rows(recipe: Recipe, task: Task) -> dict[str, Any]:
    """Which rows there are, without the task's bounds: a gate decides nothing that is cached."""
    settings = asdict(task)
    settings.pop("targets")
    return {
        "task": settings,
        "count": recipe.data.count,
        "seed": recipe.data.seed,
        "fingerprint": sources.fingerprint(sources.find(task.source), recipe.data.count, recipe.data.seed),
    }


def evaluated(recipe: Recipe, task: Task, effort: Effort) -> dict[str, Any]:
    """Which rows figures are taken on."""
    return {
        "rows": f"at most {examples.RAPID_ROWS}" if effort == "rapid" else "all",
        "also": {name: sources.fingerprint(sources.find(name)) for name in recipe.also_evaluate},
    } | ({"prompts": recipe.export.prompts} if task.kind == "generation" else {})


def lengths(recipe: Recipe) -> dict[str, Any]:
    return {"lengths": list(recipe.export.lengths)}
