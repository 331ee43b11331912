"""A recipe as the TOML text that reads back as the same recipe."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgewright.pipeline import recipe as recipes
from edgewright.pipeline.recipe import Recipe

_DEFAULT = Recipe(name="", task="")


def recipe_text(recipe: Recipe, comment: str) -> str:
    """What differs from the defaults, under `comment`; teachers that lie beside the recipe get their whole path."""
    table = dataclasses.asdict(recipe)
    default = dataclasses.asdict(_DEFAULT)
    table.pop("path")
    table["distill"] = _with_paths(table["distill"], recipe.path.parent)
    lines = [f"# {line}" for line in comment.splitlines()]
    for name, value in table.items():
        if not isinstance(value, dict) and value != default[name]:
            lines.append(f"{name} = {_value(value)}")
    for name, value in table.items():
        if isinstance(value, dict):
            said = {key: one for key, one in value.items() if default[name].get(key, ...) != one}
            lines += _table(name, said) if said else []
    return "\n".join(lines) + "\n"


def _table(name: str, values: dict[str, Any]) -> list[str]:
    said = {key: value for key, value in values.items() if value is not None}
    plain = [f"{_key(key)} = {_value(value)}" for key, value in said.items() if not isinstance(value, dict)]
    lines = ["", f"[{name}]", *plain] if plain or not said else []
    for key, value in said.items():
        if isinstance(value, dict):
            lines += _table(f"{name}.{_key(key)}", value)
    return lines


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())} }}"
    return repr(value)


def _with_paths(distill: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The [distill] table with teachers that are found from any folder."""
    if "teachers" not in distill:
        return distill

    def found(name: str) -> str:
        beside = folder / name
        if not beside.is_file():
            return name
        return beside.stem if recipes.packaged().get(beside.stem) == beside else str(beside.resolve())

    teachers = [
        found(one) if isinstance(one, str) else {**one, "name": found(str(one.get("name")))}
        for one in distill["teachers"]
    ]
    return {**distill, "teachers": teachers}
