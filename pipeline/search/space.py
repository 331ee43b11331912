"""What a search may try: a table of ranges, and how a point of it becomes a plain recipe.

A range belongs to a key of a recipe, written "table.key": "model.width", "quantize.bits.embedding". A recipe's [search]
table replaces ranges, adds some, or fixes a setting by giving one value.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from edgewright.compress.numerics import INT8, SUPPORT, Numerics, Target
from edgewright.errors import UsageError
from edgewright.models import MODELS
from edgewright.pipeline import compression
from edgewright.pipeline.recipe import ExportTable, QuantizeTable, Recipe, refuse_unknown, validated
from edgewright.pipeline.timing import NOT_TIMED

_STRICT = ConfigDict(extra="forbid")
Form = Literal["fp32", "fp16", "int8", "int4"]
TABLES = ("model", "tokenizer", "train", "distill", "prune", "qat", "quantize")  # those that a range may belong to
INT4: tuple[Numerics, ...] = ("dynamic_wi4_afp32", "weight_only_wi4_afp16")
KEPT = ("lowercase", "strip_marks", "window_stride")  # of [tokenizer], whatever its kind


@checked_dataclass(frozen=True, config=_STRICT)
class Range:
    """What one setting may be: one of `choices`, or a number from low to high, both included.

    form: the setting only counts in these numerics; None: in all.
    """

    choices: tuple[int | float | str | bool, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: Annotated[int | float | None, Field(gt=0)] = None
    log: bool = False
    form: Form | None = None

    def __post_init__(self) -> None:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("give a list of choices, or low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.log and (self.step is not None or (self.low is not None and self.low <= 0)):
            raise ValueError("log goes with a low above 0, and not with step")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    def nearest(self, value: Any) -> Any:
        """The value of the range that is nearest to `value`; the middle one for None."""
        if self.choices:
            numbers = [one for one in self.choices if isinstance(one, int | float) and not isinstance(one, bool)]
            if isinstance(value, int | float) and not isinstance(value, bool) and numbers:
                return min(numbers, key=lambda one: abs(one - value))
            return value if value in self.choices else self.choices[len(self.choices) // 2]
        assert self.low is not None and self.high is not None
        if not isinstance(value, int | float):
            value = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        value = min(max(value, self.low), self.high)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
            value = value if value <= self.high else value - self.step
        return round(value) if self.whole else float(value)


@checked_dataclass(frozen=True, config=_STRICT)
class SearchTable:
    """The [search] table of a recipe; what it does not say follows from the recipe and the defaults below."""

    families: dict[str, dict[str, Any]] = field(default_factory=dict)  # ranges by family; only these are searched
    targets: tuple[Target, ...] = ()
    target: Literal["each", "one"] = "each"  # a model must fit on each target, or the search chooses one
    numerics: tuple[Form, ...] = ("int8", "int4")


@dataclass(frozen=True)
class Space:
    """All points of a search.

    families: the ranges of each, by key. forms: for each form the numerics of every target. one: a target is chosen.
    """

    families: dict[str, dict[str, Range]]
    forms: dict[str, dict[Target, Numerics]]
    targets: tuple[Target, ...]
    one: bool

    def to_json(self) -> dict[str, Any]:
        values: dict[str, Any] = dataclasses.asdict(self)
        return values


class Suggests(Protocol):
    """The part of an Optuna trial that is needed here."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


_WORDS: dict[str, Range] = {"tokenizer.vocab_size": Range(low=1_000, high=10_000, log=True)}
_EMBEDDING = {"quantize.bits.embedding": Range(choices=(8, 4), form="int4")}
_PRUNING = {"prune.channels": Range(choices=(0.0, 0.25, 0.5))}
REMOVES = ("channels", "heads", "width", "buckets", "min_uses", "sparsity")  # of [prune]: without one it does nothing
DEFAULTS: dict[str, dict[str, Range]] = {
    "ngram_hybrid": {
        "tokenizer.buckets": Range(low=1_000, high=20_000, log=True),
        "tokenizer.features": Range(choices=(8, 12, 16)),
        "model.width": Range(choices=(16, 24, 32, 48, 64)),
        "model.hidden": Range(choices=(32, 64, 96, 128)),
        "model.bag_hidden": Range(choices=(64, 128, 192, 256)),
        "model.feature_dropout": Range(low=0.0, high=0.6, step=0.1),
        **_PRUNING,
        **_EMBEDDING,
    },
    "text_cnn": {
        **_WORDS,
        "model.width": Range(choices=(16, 32, 48, 64)),
        "model.hidden": Range(choices=(32, 64, 96, 128)),
        "model.dropout": Range(low=0.1, high=0.5, step=0.1),
        **_PRUNING,
        **_EMBEDDING,
    },
    "lstm_attention": {
        **_WORDS,
        "model.width": Range(choices=(16, 32, 48, 64)),
        "model.hidden": Range(choices=(32, 64, 96, 128)),
        "model.dropout": Range(low=0.1, high=0.5, step=0.1),
        **_PRUNING,
        **_EMBEDDING,
    },
    "tagger": {
        "tokenizer.buckets": Range(low=1_000, high=20_000, log=True),
        "model.width": Range(choices=(16, 32, 48, 64)),
        "model.hidden": Range(choices=(32, 48, 64, 96)),
        "model.feature_dropout": Range(low=0.0, high=0.4, step=0.1),
        **_PRUNING,
        **_EMBEDDING,
    },
}
# searched beside the recipe's own family, because they are quick to train and to run
OTHERS: dict[str, tuple[str, ...]] = {"single_label": ("ngram_hybrid", "text_cnn"), "tags": ("tagger",)}


def space_of(recipe: Recipe, targets: tuple[Target, ...] = ()) -> Space:
    """The space of a recipe; `targets` replaces those of its [search] table.

    Raises:
        UsageError: the table is wrong, names a family of another kind of task, or leaves nothing to choose from.
    """
    refuse_unknown(recipe.search, SearchTable, recipe.path, "[search]")
    table: SearchTable = validated(SearchTable, recipe.search, recipe.path, "search")
    kind = recipe.task_with_gates().kind
    own = recipe.model.get("family")
    if recipe.model.get("pretrained") and not table.families:
        raise UsageError(f"{recipe.path}: a pretrained model has its sizes; search from a recipe that trains from none")
    named = list(table.families) or list(dict.fromkeys([str(own), *OTHERS.get(kind, ())]))
    wanted = targets or table.targets or tuple(one for one in recipe.export.targets if one not in NOT_TIMED)
    forms = {form: _on_each(form, wanted) for form in table.numerics}
    usable: dict[str, dict[Target, Numerics]] = {form: cells for form, cells in forms.items() if cells}
    if not wanted or not usable:
        names = ", ".join(wanted) or "no target"
        raise UsageError(f"{recipe.path}: search: none of {', '.join(table.numerics)} is made for each of: {names}")
    families = {name: _ranges(name, table.families.get(name, {}), kind, recipe) for name in named}
    return Space(
        {
            name: {key: one for key, one in ranges.items() if one.form is None or one.form in usable}
            for name, ranges in families.items()
        },
        usable,
        tuple(wanted),
        table.target == "one",
    )


def _on_each(form: str, targets: tuple[Target, ...]) -> dict[Target, Numerics]:
    """The numerics of a form on each target; nothing where one of them lacks it."""
    found: dict[Target, Numerics] = {}
    for target in targets:
        named = (INT8[target],) if form == "int8" else INT4 if form == "int4" else (form,)
        numerics = next((one for one in named if SUPPORT[one, target].supported), None)  # type: ignore[index]
        if numerics is None:
            return {}
        found[target] = numerics  # type: ignore[assignment]  # a form that is no int is its own numerics
    return found


def _ranges(family: str, given: dict[str, Any], kind: str, recipe: Recipe) -> dict[str, Range]:
    """The family's default ranges, with what the recipe says instead and its own values among the choices."""
    place = f"search.families.{family}"
    if family not in MODELS:
        raise UsageError(f"{recipe.path}: {place}: no such family; known: {', '.join(MODELS)}")
    if MODELS[family].kind != kind:
        raise UsageError(f"{recipe.path}: {place}: learns tasks of kind '{MODELS[family].kind}', not '{kind}'")
    defaults = DEFAULTS.get(family, {})
    if family == recipe.model.get("family"):
        defaults = {key: _with(one, _own(recipe, key)) for key, one in defaults.items()}
    ranges = dict(defaults)
    for key, value in given.items():
        table, _, rest = key.partition(".")
        if table not in TABLES or not rest:
            raise UsageError(f"{recipe.path}: {place}: '{key}' must be table.key, of {', '.join(TABLES)}")
        if table in ("prune", "qat", "distill") and table not in compression.MAKE:
            raise UsageError(f"{recipe.path}: {place}: '{key}': there is no step [{table}]")
        form = defaults[key].form if key in defaults else None
        said = value if isinstance(value, dict) else {"choices": value if isinstance(value, list) else [value]}
        refuse_unknown(said, Range, recipe.path, f"{place}.{key}")
        ranges[key] = validated(Range, {"form": form, **said}, recipe.path, f"{place}.{key}")
    if not ranges:
        raise UsageError(f'{recipe.path}: {place}: has no ranges; give some, such as "model.width" = [32, 64]')
    return ranges


def _with(one: Range, value: Any) -> Range:
    """The default range, wide enough for the recipe's own value."""
    if value is None or one.step is not None:
        return one
    if one.choices:
        return dataclasses.replace(one, choices=tuple(sorted({*one.choices, value})))  # type: ignore[type-var]
    return dataclasses.replace(one, low=min(one.low or value, value), high=max(one.high or value, value))


def _own(recipe: Recipe, key: str) -> Any:
    """What the recipe says of a key, or its model's default; None where neither says something."""
    table, *path = key.split(".")
    value: Any = getattr(recipe, table)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    if value is None and table == "prune" and path[0] in REMOVES:
        return 0.0
    if value is None and table == "model":
        return getattr(MODELS[str(recipe.model.get("family"))].config(), path[0], None)
    return value


def suggest(space: Space, trial: Suggests) -> dict[str, Any]:
    """The settings of the next point: "family", "numerics", "target" and the keys of the family's ranges."""
    family = trial.suggest_categorical("family", list(space.families))
    form = trial.suggest_categorical("numerics", list(space.forms))
    settings = {"family": family, "numerics": form}
    if space.one:
        settings["target"] = trial.suggest_categorical("target", list(space.targets))
    for key, one in space.families[family].items():
        if one.form is not None and one.form != form:
            continue
        name = f"{family}.{key}"  # a name has one range in a study, and families have different ones
        if one.choices:
            settings[key] = trial.suggest_categorical(name, list(one.choices))
        elif one.whole:
            assert isinstance(one.low, int) and isinstance(one.high, int)
            settings[key] = trial.suggest_int(name, one.low, one.high, step=int(one.step or 1), log=one.log)
        else:
            assert one.low is not None and one.high is not None
            value = trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
            settings[key] = float(f"{value:.6g}")  # steps of 0.1 add up to 0.30000000000000004
    return settings


def example(space: Space, family: str) -> dict[str, Any]:
    """The settings of a point in the middle of a family's ranges."""
    form = next(iter(space.forms))
    settings: dict[str, Any] = {"family": family, "numerics": form}
    if space.one:
        settings["target"] = space.targets[0]
    ranges = space.families[family].items()
    return settings | {key: one.nearest(None) for key, one in ranges if one.form in (None, form)}


def own_point(recipe: Recipe, space: Space) -> dict[str, Any] | None:
    """Optuna's parameters of the point that is nearest to the recipe itself; None where its family is not searched."""
    family = recipe.model.get("family")
    if family not in space.families:
        return None
    form = next(iter(space.forms))
    parameters = {"family": family, "numerics": form} | ({"target": space.targets[0]} if space.one else {})
    for key, one in space.families[family].items():
        if one.form is None or one.form == form:
            parameters[f"{family}.{key}"] = one.nearest(_own(recipe, key))
    return parameters


def recipe_of(recipe: Recipe, space: Space, settings: dict[str, Any], gates: dict[str, Any]) -> Recipe:
    """The plain recipe of a point: the recipe with these settings, for the point's targets and numerics only.

    gates: bounds that come from the budget.
    """
    family = settings["family"]
    own = family == recipe.model.get("family")
    tables: dict[str, Any] = {name: dict(getattr(recipe, name)) for name in TABLES if name != "quantize"}
    tables["quantize"] = dataclasses.asdict(recipe.quantize)
    if not own:
        tables["model"] = {"family": family}
        fitting = MODELS[family].tokenizers
        if tables["tokenizer"].get("kind") not in fitting:
            kept = {key: value for key, value in tables["tokenizer"].items() if key in KEPT}
            tables["tokenizer"] = {"kind": fitting[0], **kept}
    for key, value in settings.items():
        if "." not in key:
            continue
        table, *path, last = key.split(".")
        inner = tables[table]
        for name in path:
            inner[name] = dict(inner.get(name, {}))
            inner = inner[name]
        inner[last] = value
    if not any(tables["prune"].get(key) for key in REMOVES):
        tables["prune"] = {}
    cells = space.forms[settings["numerics"]]
    targets = (settings["target"],) if space.one else space.targets
    quantize: QuantizeTable = validated(QuantizeTable, tables.pop("quantize"), recipe.path, "quantize")
    export = ExportTable(
        lengths=recipe.export.lengths,
        numerics={target: (cells[target],) for target in targets},
        targets=targets,
        ship={target: cells[target] for target in targets},
        calibration_rows=recipe.export.calibration_rows,
        prompts=recipe.export.prompts,
    )
    tables |= {"name": f"{recipe.name}-found", "export": export, "gates": {**recipe.gates, **gates}}
    tables |= {"rapid": {}, "search": {}}  # a found recipe is plain
    return dataclasses.replace(recipe, quantize=quantize, **tables)
