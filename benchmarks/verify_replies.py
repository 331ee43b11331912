"""Replaying an artifact of a bundle of kind "generation": prompt ids, scores of the golden replies, greedy replies."""

from collections.abc import Sequence

import numpy as np

from edgewright.benchmarks import reply_parity
from edgewright.benchmarks.verify_sequences import Replayed
from edgewright.data.dialogues import prompt_ids
from edgewright.errors import DamagedFileError
from edgewright.runtimes import Runner
from edgewright.runtimes.bundle import Bundle, Golden
from edgewright.runtimes.generator import Generator, generator_of


def replay(bundle: Bundle, runner: Runner, numerics: str, golden: Sequence[Golden], allowed: float) -> Replayed:
    """What the artifact says of the golden texts; the agreement is the share of equal greedy replies.

    Raises:
        DamagedFileError: a golden vector has no reply.
    """
    if any(not vector.reply or len(vector.reply) != len(vector.logits) for vector in golden):
        raise DamagedFileError(f"{bundle.path}/golden.jsonl: a vector has no reply; get the bundle anew")
    generator = generator_of(bundle, runner, "", numerics)
    problems = []
    said = bundle.manifest["postprocess"]
    if (said.get("start"), said.get("end")) != (generator.start, generator.end):
        problems.append("the manifest's start and end are not those of the tokenizer")
    tokenizer, longest = generator.tokenizer, bundle.lengths[-1]
    wrong = [n for n, v in enumerate(golden, 1) if prompt_ids(tokenizer, v.text, None, longest).tolist() != v.ids]
    if wrong:
        problems.append(f"the tokenizer gives other ids for golden vectors {wrong[:5]}")

    found, expected = reply_parity.golden_scores(runner, generator.shapes, golden, generator.start)
    if not np.isfinite(found).all():
        return Replayed(None, 0.0, (*problems, "a score is NaN or infinite"))
    error = float(np.abs(found - expected).max())
    if error > allowed:
        problems.append(f"golden scores are off by {error:.4g}, at most {allowed:.4g} is expected")
    replies = [generator.generate_reply(vector.text).ids for vector in golden]
    differing = [n for n, (ids, v) in enumerate(zip(replies, golden, strict=True)) if list(ids) != v.reply]
    if numerics == "fp32":
        changed = [n + 1 for n in differing if _clearly(generator, golden[n], replies[n], allowed)]
        if changed:
            problems.append(f"the replies to golden vectors {changed[:5]} changed")
    ids = [np.array(vector.ids, np.int32) for vector in golden]
    padding = reply_parity.encode_padding(runner, ids, bundle.lengths, numerics)
    if not padding.neutral:
        problems.append(
            f"padding to {padding.length} moves golden vector {padding.row + 1} by {padding.difference:.3g}"
        )
    return Replayed(error, 1 - len(differing) / len(golden), tuple(problems))


def _clearly(generator: Generator, vector: Golden, reply: Sequence[int], allowed: float) -> bool:
    """Whether the first token that differs wins by more than the errors that are allowed of both."""
    expected = vector.reply or []
    place = reply_parity.common_prefix(reply, expected)
    if place == min(len(reply), len(expected)):  # one was cut where the other goes on
        return True
    given = [generator.start, *expected[:place]]
    scores = reply_parity.taught(generator.runner, generator.shapes, np.array(vector.ids, np.int32), given)[-1]
    return bool(scores[reply[place]] - scores[expected[place]] > 2 * allowed)
