"""What the page of a run shows of replies beyond its record: a few of them."""

from pathlib import Path

from edgewright.benchmarks.reports.run_report import Details, SampleReply
from edgewright.compress.numerics import Numerics, Target
from edgewright.data.files import read_json
from edgewright.data.tasks import Task
from edgewright.pipeline import reply_data
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.recipe import Effort, Recipe

SHOWN = 12


def reply_details(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    learnt: Learnt,
    checks: dict[tuple[Target, Numerics], Path],
    shown: tuple[Target, Numerics],
) -> Details:
    """Replies of PyTorch to test messages, spread evenly over those that were answered, and the artifacts that differ.

    checks: the folder that `verify` filled, of each cell.
    """
    words, expected = reply_data.words_of(learnt), learnt.figures()["replies"]
    found = {" ".join(cell): read_json(folder / "replies.json") for cell, folder in checks.items()}
    numbers, pairs = reply_data.answered(recipe, task, effort)
    samples = []
    for place in reply_data.evenly(range(len(pairs)), SHOWN):
        pair = pairs[place]
        others = [
            (cell, words.decode(ids[place]).strip()) for cell, ids in found.items() if ids[place] != expected[place]
        ]
        samples.append(
            SampleReply(
                row=numbers[place],
                context=pair.context,
                message=pair.message,
                response=pair.response,
                pytorch=words.decode(expected[place]).strip(),
                others=tuple(others),
            )
        )
    return Details(labels=(), replies=tuple(samples))
