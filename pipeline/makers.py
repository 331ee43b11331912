"""What makes the results of a run, by the kind of the task."""

from collections.abc import Callable
from dataclasses import dataclass

from edgewright.benchmarks.record import Baseline
from edgewright.benchmarks.reports.run_report import Details
from edgewright.export.bundle import Content
from edgewright.pipeline import (
    cells,
    learn,
    replies,
    reply_tables,
    reply_timing,
    sequence_tables,
    sequence_timing,
    sequences,
    tables,
    timing,
)
from edgewright.pipeline.details import label_details
from edgewright.pipeline.recipe import Recipe
from edgewright.pipeline.reply_details import reply_details


@dataclass(frozen=True)
class Makers:
    """What makes the results for a kind of task; each takes what the function for labels takes.

    The first eight fill the folders of the stages. pytorch: the float model's figures, as a baseline. content: the
    bundle of the shipped cells. details: what the page shows beyond the record. check: refuses a wrong recipe.
    """

    data: Callable[..., None]
    tokenizer: Callable[..., None]
    model: Callable[..., None]
    reference: Callable[..., None]
    artifact: Callable[..., None]
    verify: Callable[..., None]
    baselines: Callable[..., None]
    timings: Callable[..., None]
    pytorch: Callable[..., Baseline]
    content: Callable[..., Content]
    details: Callable[..., Details]
    check: Callable[[Recipe], None]
    code: tuple[str, ...]  # the modules that these are in, those of cells apart


LABELS = Makers(
    learn.make_data,
    learn.make_tokenizer,
    learn.make_model,
    learn.make_reference,
    cells.make_artifact,
    cells.verify,
    timing.make_baselines,
    timing.make_timings,
    timing.pytorch_baseline,
    cells.bundle_content,
    label_details,
    tables.check,
    ("edgewright.pipeline.learn",),
)
SEQUENCES = Makers(
    sequences.make_data,
    sequences.make_tokenizer,
    sequences.make_model,
    sequences.make_reference,
    sequences.make_artifact,
    sequences.verify,
    sequence_timing.make_baselines,
    sequence_timing.make_timings,
    sequence_timing.pytorch_baseline,
    sequences.bundle_content,
    sequences.details,
    sequence_tables.check,
    ("edgewright.pipeline.sequences", "edgewright.pipeline.sequence_data", "edgewright.pipeline.sequence_tables"),
)
REPLIES = Makers(
    replies.make_data,
    replies.make_tokenizer,
    replies.make_model,
    replies.make_reference,
    replies.make_artifact,
    replies.verify,
    reply_timing.make_baselines,
    reply_timing.make_timings,
    reply_timing.pytorch_baseline,
    replies.bundle_content,
    reply_details,
    reply_tables.check,
    (
        *("edgewright.pipeline.replies", "edgewright.pipeline.reply_data", "edgewright.pipeline.reply_figures"),
        "edgewright.benchmarks.reply_parity",
    ),
)
MAKERS: dict[str, Makers] = {
    "single_label": LABELS,
    "tags": LABELS,
    "sequence": SEQUENCES,
    "generation": REPLIES,
}
