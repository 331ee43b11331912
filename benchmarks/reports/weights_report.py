"""Which weights the files of a bundle share, and on which rows their labels differ, as tables on a console."""

from rich.table import Table
from rich.text import Text

from edgewright.benchmarks.agreement import Agreement
from edgewright.benchmarks.weight_cells import EQUAL, Cell, words
from edgewright.benchmarks.weights import Comparison, Layer

MOST_ROWS = 50  # of differing answers on a console; JSON has all


def console(comparison: Comparison) -> Table:
    """A line a weight, a column a file."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("weight", no_wrap=True)
    for name in ("shape", "bits"):
        table.add_column(name, justify="right", no_wrap=True)
    for file in comparison.files:
        table.add_column(file.name, overflow="fold")
    for layer in comparison.layers:
        cells = [_text(layer.cells.get(file.name)) for file in comparison.files]
        table.add_row(layer.name.removesuffix(".weight"), "×".join(map(str, layer.shape)), bits(layer), *cells)
    return table


def bits(layer: Layer) -> str:
    """ "8", or "8 4" where files have different ones; "–" for floats."""
    return " ".join(dict.fromkeys("–" if number is None else str(number) for number in layer.bits.values()))


def pairs(agreement: Agreement) -> Table:
    """A line for two files."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("files", no_wrap=True)
    for name in ("same label", "same bits", "max logit difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for pair in agreement.pairs:
        table.add_row(
            f"{pair.first}, {pair.second}",
            f"{pair.label_agreement:.4f}",
            f"{pair.identical} of {agreement.n}",
            f"{pair.max_abs_logit_difference:.3g}",
        )
    return table


def differing(agreement: Agreement) -> Table:
    """A line an answer on which labels differ: each file's label, and its margin over the next one."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("row", justify="right", no_wrap=True)
    for name in agreement.median_margin:
        table.add_column(f"{name} (margin)", overflow="fold")
    for answer in agreement.differing[:MOST_ROWS]:
        table.add_row(
            str(answer.row),
            *(f"{answer.labels[name]} ({answer.margins[name]:.3f})" for name in agreement.median_margin),
        )
    return table


def _text(cell: Cell | None) -> Text:
    if cell is None:
        return Text("not read", style="yellow")
    if cell.state in EQUAL and cell.same is False:
        return Text(f"{words(cell)}; not those of the first file", style="red")
    return Text(words(cell), style="green" if cell.state in EQUAL else "red")
