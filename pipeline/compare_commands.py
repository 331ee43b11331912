"""What `edgewright compare-weights` does: the weights of a bundle's files, and on rows their labels, side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from edgewright.benchmarks import agreement as agreements
from edgewright.benchmarks import weights
from edgewright.benchmarks.agreement import Agreement
from edgewright.benchmarks.reports import weights_report
from edgewright.benchmarks.weights import Comparison
from edgewright.errors import UsageError
from edgewright.pipeline import learn
from edgewright.pipeline.bundle_data import read_labelled
from edgewright.pipeline.examples import require_labels
from edgewright.pipeline.progress import Reporter
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle

MIN_AGREEMENT = 0.995  # of all files on one label: what an int8 model of ours is held to


@dataclass(frozen=True)
class Compared:
    """equal: the weights are, and the labels agree on enough rows where there are rows. lines: what is said below the
    tables, the reason last."""

    comparison: Comparison
    agreement: Agreement | None
    equal: bool
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        agreement = None if self.agreement is None else self.agreement.to_json()
        return {**self.comparison.to_json(), "agreement": agreement, "equal": self.equal, "lines": list(self.lines)}

    def tables(self) -> list[Table]:
        tables = [weights_report.console(self.comparison)]
        if self.agreement is not None and self.agreement.pairs:
            tables.append(weights_report.pairs(self.agreement))
        if self.agreement is not None and self.agreement.differing:
            tables.append(weights_report.differing(self.agreement))
        return tables


def compare_weights(
    path: Path, data: Path | None, reporter: Reporter, min_agreement: float = MIN_AGREEMENT
) -> Compared:
    """The weights of a bundle's files; with `data`, labelled rows, also their labels.

    Raises:
        UsageError: `data` for a bundle whose task has no labels; a share of rows that is none.
        DamagedFileError: a file is missing, changed or unreadable.
        DataError: the rows; an unknown label is named with its row.
    """
    if not 0 <= min_agreement <= 1:
        raise UsageError(f"--min-agreement: {min_agreement} is no share of the rows; give 0 to 1")
    bundle = bundles.read(path)
    if data is not None:
        require_labels(bundle.kind, "compare-weights --data")  # before the work
    comparison = weights.compare(bundle)
    unread = [file.name for file in comparison.files if file.verdict == "not_verifiable"]
    agreement = None
    if data is not None and not unread:
        agreement = _agreement(bundle, data, reporter)
    return judged(comparison, agreement, min_agreement)


def _agreement(bundle: Bundle, data: Path, reporter: Reporter) -> Agreement:
    rows = read_labelled(bundle, data)
    tokenizer = bundle.tokenizer()
    logits: dict[str, np.ndarray] = {}
    for name, artifact in weights.artifacts(bundle, state_packages=False).items():
        runner = bundle.runner(artifact)
        logits[name] = learn.all_answers(rows.texts, tokenizer, bundle.lengths, runner, reporter, name)
    numbers = [rows.numbers[owner] for owner in rows.owners]
    return agreements.agree(logits, numbers, bundle.labels)


def judged(comparison: Comparison, agreement: Agreement | None, least: float) -> Compared:
    lines = []
    agreeing = agreement is None or agreement.all_agree >= least
    if agreement is not None:
        lines += _bit_lines(comparison, agreement)
        count = f"{len(agreement.differing)} of {agreement.n} answers differ"
        bound = f"at least {least:g} is asked for" if not agreeing else f"{least:g} is asked for"
        lines.append(f"label agreement of all files: {agreement.all_agree:.4f} ({count}; {bound})")
    equal = comparison.verdict == "pass" and agreeing
    reason = comparison.reason
    if comparison.verdict == "pass" and not agreeing:
        reason += ", but too many labels differ"
    return Compared(comparison, agreement, equal, (*lines, reason))


def _bit_lines(comparison: Comparison, agreement: Agreement) -> list[str]:
    """For an ExecuTorch and a LiteRT file that both quantize activations at each call, as XNNPACK does for both."""
    dynamic = {file.name: file.target for file in comparison.files if file.numerics.startswith("dynamic_")}
    return [
        f"{pair.first} and {pair.second}: bit-identical logits on {pair.identical} of {agreement.n} answers"
        for pair in agreement.pairs
        if {dynamic.get(pair.first), dynamic.get(pair.second)} == {"executorch", "litert"}
    ]
