"""Which layer bears how few bits: the figures of compress/sensitivity.py as tables, Markdown and a page."""

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from rich.table import Table

from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.reports import plots
from edgewright.benchmarks.reports.run_report import PHONE, TEMPLATES, WIDE, environment
from edgewright.compress.sensitivity import LayerCost, Sensitivity


def console(found: Sensitivity) -> list[Table]:
    """The cost of each layer alone, and the choices from all at 4 bits on."""
    costs = Table(box=None, header_style="bold", pad_edge=False)
    costs.add_column("layer alone", no_wrap=True)
    for name in ("bits", "points of accuracy", "divergence", "stored"):
        costs.add_column(name, justify="right", no_wrap=True)
    for cost in found.costs:
        costs.add_row(
            cost.layer, str(cost.bits), points(cost.accuracy), nats(cost.divergence), f"{cost.stored_bytes:,}"
        )
    choices = Table(box=None, header_style="bold", pad_edge=False)
    choices.add_column("all together: at 8 bits", overflow="fold")
    for name in ("points of accuracy", "divergence", "weights"):
        choices.add_column(name, justify="right", no_wrap=True)
    for choice in found.choices:
        eight = ", ".join(choice.eight) or "none"
        choices.add_row(eight, points(choice.accuracy), nats(choice.divergence), f"{choice.weight_bytes:,}")
    return [costs, choices]


def toml(found: Sensitivity) -> str:
    """The [quantize] table of a recipe that stores the layers so."""
    bits = ", ".join(f"{_key(name)} = {bits}" for name, bits in found.precision.bits.items())
    return f'[quantize]\nbits = {{ {bits} }}\nembedding_scales = "{found.precision.embedding_scales}"\n'


def to_json(found: Sensitivity, recipe: str, numerics: str = "dynamic_wi4_afp32") -> dict[str, Any]:
    """A record of schema 1."""
    return {
        "schema": 1,
        "kind": "sensitivity",
        "recipe": recipe,
        "numerics": numerics,
        "float_accuracy": found.float_accuracy,
        "rows": found.rows,
        "costs": [vars(cost) for cost in found.costs],
        "choices": [{**vars(choice), "eight": list(choice.eight)} for choice in found.choices],
        "quantize": {"bits": dict(found.precision.bits), "embedding_scales": found.precision.embedding_scales},
    }


def markdown(found: Sensitivity, recipe: str) -> str:
    return environment(escape=False).get_template("sensitivity.md.j2").render(**_context(found, recipe))


def html(found: Sensitivity, recipe: str) -> str:
    """One self-contained page."""
    context = _context(found, recipe) | {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "divergence_plot": _both([cost for cost in found.costs if cost.bits == 4] or found.costs),
    }
    return environment(escape=True).get_template("sensitivity.html.j2").render(**context)


def points(share: float) -> str:
    """ "-0.14": hundredths of a share."""
    return f"{100 * share:+.2f}"


def nats(divergence: float) -> str:
    return f"{divergence:.5f}"


def _both(costs: Sequence[LayerCost]) -> Markup:
    rows = [plots.Bar(f"{cost.layer}, {cost.bits} bits", "litert", Interval(1000 * cost.divergence)) for cost in costs]
    title = "Divergence of one layer alone"
    wide, narrow = (plots.bars(rows, title, "1/1000 nat", width) for width in (WIDE, PHONE))
    return Markup(f'<div class="wide">{wide}</div><div class="phone">{narrow}</div>')


def _context(found: Sensitivity, recipe: str) -> dict[str, Any]:
    return {"found": found, "recipe": recipe, "toml": toml(found), "points": points, "nats": nats}


def _key(name: str) -> str:
    """As TOML writes it: a dotted name is one key in quotes."""
    return name if name.replace("_", "").isalnum() else json.dumps(name)
