"""Which layer bears how few bits: a record of sensitivity as tables, Markdown and a page."""

import json
from typing import Any

from rich.table import Table

from edgewright.benchmarks.reports import sensitivity_plots
from edgewright.benchmarks.reports.bench_report import both, markdown_of, render
from edgewright.benchmarks.sensitivity_record import SensitivityRecord
from edgewright.compress.sensitivity import Choice


def console(record: SensitivityRecord) -> tuple[Table, ...]:
    """The cost of each layer alone, and the choices from all at 4 bits on."""
    costs, choices = (Table(box=None, header_style="bold", pad_edge=False) for _ in range(2))
    costs.add_column("layer alone", no_wrap=True)
    for name in ("bits", "points of accuracy", "rows lost", "won", "divergence", "stored"):
        costs.add_column(name, justify="right", no_wrap=True)
    for cost in record.costs:
        figures = (points(cost.accuracy), str(cost.lost), str(cost.won), nats(cost.divergence))
        costs.add_row(cost.layer, str(cost.bits), *figures, f"{cost.stored_bytes:,}")
    choices.add_column("all together", overflow="fold")
    for name in ("points of accuracy", "rows lost", "won", "divergence", "weights"):
        choices.add_column(name, justify="right", no_wrap=True)
    for name, choice in together(record):
        figures = (points(choice.accuracy), str(choice.lost), str(choice.won), nats(choice.divergence))
        choices.add_row(name, *figures, f"{choice.weight_bytes:,}")
    return costs, choices


def sentence(record: SensitivityRecord) -> str:
    """What was chosen, in one line."""
    named = sensitivity_plots.named(record, record.chosen)
    saved = 1 - record.chosen.weight_bytes / record.all_eight.weight_bytes
    cost = f"{points(record.chosen.accuracy)} points of accuracy on validation"
    allowed = f"{100 * record.max_drop:g} allowed"
    if not record.within:
        return f"even {named} costs more than {allowed}: {cost}"
    return f"chosen: {named}; {cost} ({allowed}), {100 * saved:.0f} % fewer bytes of weights than 8 bits everywhere"


def together(record: SensitivityRecord) -> list[tuple[str, Choice]]:
    """The choices by name, and 8 bits everywhere last, where the choices did not end there."""
    found = [*record.choices, *([record.all_eight] if record.all_eight.eight != record.chosen.eight else [])]
    return [(sensitivity_plots.named(record, choice), choice) for choice in found]


def toml(record: SensitivityRecord) -> str:
    """The [quantize] table of a recipe that stores the layers so."""
    bits = ", ".join(f"{_key(name)} = {bits}" for name, bits in record.quantize.bits.items())
    return f'[quantize]\nbits = {{ {bits} }}\nembedding_scales = "{record.quantize.embedding_scales}"\n'


def markdown(record: SensitivityRecord) -> str:
    """The record for a pull request or a committed result."""
    return markdown_of("sensitivity.md.j2", _context(record))


def html(record: SensitivityRecord) -> str:
    """One self-contained page."""
    drawn = {
        "accuracy_plot": both(sensitivity_plots.accuracy, record),
        "divergence_plot": both(sensitivity_plots.divergence, record),
        "together_plot": both(sensitivity_plots.together, record),
    }
    return render("sensitivity.html.j2", _context(record) | drawn)


def points(share: float) -> str:
    """ "-0.14": hundredths of a share."""
    return f"{100 * share:+.2f}"


def nats(divergence: float) -> str:
    return f"{divergence:.5f}"


def _context(record: SensitivityRecord) -> dict[str, Any]:
    return {
        "record": record,
        "sentence": sentence(record),
        "together": together(record),
        "toml": toml(record),
        "points": points,
        "nats": nats,
    }


def _key(name: str) -> str:
    """As TOML writes it: a dotted name is one key in quotes."""
    return name if name.replace("_", "").isalnum() else json.dumps(name)
