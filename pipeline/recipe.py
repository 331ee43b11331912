"""Recipes: TOML tables read into frozen dataclasses; an unknown key is refused with its file, its place and a guess.

Defaults live in the dataclasses, once; a recipe only says what differs. The table [rapid] holds what the effort
`rapid` replaces, in the same tables: [rapid.train] epochs = 2.
"""

import dataclasses
import difflib
import tomllib
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from edgewright.compress.numerics import DENSE, INT8, NUMERICS, SUPPORT, TARGETS, Numerics, Target
from edgewright.data import tasks
from edgewright.data.tasks import Targets, Task
from edgewright.errors import UsageError

Effort = Literal["rapid", "quick", "normal"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class DataTable:
    """How much of a generated source is made; real sets have neither."""

    count: Annotated[int | None, Field(ge=100)] = None
    seed: int | None = None


@dataclass(frozen=True, config=_STRICT)
class ExportTable:
    """Which cells are made.

    numerics: "standard" (fp32 and int8 on every target), "all" (the whole table, with what it excludes), or a
    list for each target, in which "int8" stands for the target's own form.
    """

    lengths: tuple[int, ...] = (8, 16, 32)  # buckets, in tokens
    numerics: Literal["standard", "all"] | dict[Target, tuple[Numerics | Literal["int8"], ...]] = "standard"
    targets: tuple[Target, ...] = TARGETS
    ship: dict[Target, Numerics] = field(default_factory=dict)  # by default the smallest cell that passes
    calibration_rows: Annotated[int, Field(ge=16)] = 256  # of the training split, for static_wi8_ai8
    prompts: Annotated[int, Field(ge=1)] = 200  # of the test split, whose replies are compared with PyTorch's

    def cells(self) -> list[tuple[Target, Numerics]]:
        """Every cell of the run, those that the table excludes included where they are asked for."""
        if self.numerics == "all":
            return [(target, numerics) for target in self.targets for numerics in NUMERICS]
        if self.numerics == "standard":
            return [(target, numerics) for target in self.targets for numerics in ("fp32", INT8[target])]
        return [
            (target, INT8[target] if numerics == "int8" else numerics)
            for target in self.targets
            for numerics in self.numerics.get(target, ())
        ]


@dataclass(frozen=True, config=_STRICT)
class QuantizeTable:
    """Where the weights of the integer numerics depart from the rule of compress.quantize.Precision."""

    bits: dict[str, int] = field(default_factory=dict)  # by layer, in the numerics of 4 bits: embedding = 4
    embedding_scales: Literal["table", "row"] = "table"


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """One run, as the TOML file says it."""

    name: str
    task: str
    description: str = ""
    data: DataTable = DataTable()
    tokenizer: dict[str, Any] = field(default_factory=dict)  # checked by the tokenizer's own file
    model: dict[str, Any] = field(default_factory=dict)  # `family` and the fields of its config
    train: dict[str, Any] = field(default_factory=dict)  # checked by train.labels.LabelsConfig
    distill: dict[str, Any] = field(default_factory=dict)  # checked by compress.distill.DistillConfig; empty: no stage
    prune: dict[str, Any] = field(default_factory=dict)  # checked by compress.prune.PruneConfig; empty: no stage
    qat: dict[str, Any] = field(default_factory=dict)  # checked by compress.qat.QatConfig; empty: no stage
    quantize: QuantizeTable = QuantizeTable()
    export: ExportTable = ExportTable()
    search: dict[str, Any] = field(default_factory=dict)  # checked by pipeline.search.space
    gates: dict[str, Any] = field(default_factory=dict)  # replaces bounds of the task's targets
    seeds: tuple[int, ...] = (0,)  # `normal` trains all of them and ships the best on validation
    also_evaluate: tuple[str, ...] = ()  # test-only sources, never trained or tuned on
    rapid: dict[str, Any] = field(default_factory=dict)
    path: Path = Path()

    def for_effort(self, effort: Effort) -> "Recipe":
        """The recipe with what `rapid` replaces; quick and rapid train one seed."""
        if effort == "normal":
            return self
        if effort == "quick":
            return dataclasses.replace(self, seeds=self.seeds[:1])
        table = _plain(self) | {"seeds": self.seeds[:1]}
        for name, value in self.rapid.items():
            table[name] = {**table[name], **value} if isinstance(value, dict) else value
        return _build(table, self.path)

    def task_with_gates(self) -> Task:
        """The task; its bounds are the recipe's where the recipe sets some.

        Raises:
            UsageError: there is no such task, or a gate is unknown or malformed.
        """
        task = tasks.find(self.task)
        given = dataclasses.asdict(task.targets) | self.gates
        refuse_unknown(self.gates, Targets, self.path, "gates")
        return dataclasses.replace(task, targets=validated(Targets, given, self.path, "gates"))


def read(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        UsageError: the file is missing, is no TOML, or has an unknown key or a wrong value; one line says where.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: no such recipe; give a .toml file, or one of: {', '.join(sorted(packaged()))}"
        ) from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: is a folder; give a .toml file in it") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}") from error
    if "path" in table:
        raise UsageError(f"{path}: unknown key 'path'; remove it")
    return _build(table, path)


def find(name_or_path: str) -> Path:
    """A recipe's file from a path, or from the name of one that comes with the package."""
    return packaged().get(name_or_path, Path(name_or_path))


def packaged() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = Path(str(resources.files("edgewright.recipes")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def refuse_unknown(given: dict[str, Any], kind: Any, path: Path, place: str) -> None:
    """Raise a UsageError for the first key of `given` that the dataclass `kind` does not have."""
    known = [field.name for field in dataclasses.fields(kind) if field.name != "path"]
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            guess = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
            raise UsageError(f"{path}: {place}: unknown key '{key}'; {guess}")


def validated(kind: Any, given: dict[str, Any], path: Path, place: str) -> Any:
    """An instance of the dataclass `kind`, or a UsageError that names the first wrong value and its place."""
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([place, *(str(part) for part in first["loc"])]).strip(".")
        shown = repr(first.get("input"))
        raise UsageError(f"{path}: {where}: {first['msg']}, not {shown[:60]}") from error


def _build(table: dict[str, Any], path: Path) -> Recipe:
    place = "the top level"
    refuse_unknown(table, Recipe, path, place)
    for name, kind in (("data", DataTable), ("quantize", QuantizeTable), ("export", ExportTable)):
        if isinstance(table.get(name), dict):
            refuse_unknown(table[name], kind, path, f"[{name}]")
    if isinstance(table.get("rapid"), dict):
        refuse_unknown(table["rapid"], Recipe, path, "[rapid]")
    recipe: Recipe = validated(Recipe, {**table, "path": path}, path, "")
    _check_export(recipe.export, path)
    _check_sparse(recipe)
    return recipe


def _check_export(export: ExportTable, path: Path) -> None:
    if not export.lengths or min(export.lengths) < 1 or list(export.lengths) != sorted(set(export.lengths)):
        raise UsageError(f"{path}: export.lengths: must be ascending token counts, not {list(export.lengths)}")
    for target, numerics in export.ship.items():
        support = SUPPORT[numerics, target]
        if not support.supported:
            raise UsageError(f"{path}: export.ship.{target}: {numerics} is unsupported there: {support.note}")
        if (target, numerics) not in export.cells():
            raise UsageError(f"{path}: export.ship.{target}: {numerics} is not among the run's numerics; add it there")


def _check_sparse(recipe: Recipe) -> None:
    """That cells which leave zeros out have some. "all" names no cell, and the report says that they gain nothing."""
    if not isinstance(recipe.export.numerics, dict) or recipe.prune.get("sparsity"):
        return
    for target, numerics in recipe.export.cells():
        if numerics in DENSE and SUPPORT[numerics, target].supported:
            raise UsageError(
                f"{recipe.path}: export.numerics.{target}: {numerics} leaves out the weights that are zero, and this "
                f"recipe makes none; set sparsity in [prune], or name {DENSE[numerics]}"
            )


def _plain(recipe: Recipe) -> dict[str, Any]:
    table = dataclasses.asdict(recipe)
    table.pop("path")
    return table
