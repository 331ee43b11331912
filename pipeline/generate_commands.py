"""What `generate` and `demo` do: a reply from a bundle, and a tour of the hybrid model without one."""

from dataclasses import asdict
from typing import Any

import torch
from torch.nn import functional as F

from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.sampling import Sampling
from edgewright.errors import UsageError
from edgewright.models.hybrid import SMALL, HybridConfig, HybridRNNTransformer
from edgewright.runtimes.generator import Generator, open_generator, shapes_of
from edgewright.runtimes.opening import opened_bundle
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.runtimes.stream import CharacterStream, open_stream

SIZES = {"small": SMALL, "full": HybridConfig()}
DEMO_PROMPT = "Hello! Could you find me a train for tomorrow morning?"
DEMO_LENGTHS = (64,)
DEMO_TOKENS = 16
CHARACTERS = 200  # written where nobody says how many
DEMO_WAYS = {
    "greedy": Sampling(temperature=0.0),
    "temperature 0.8": Sampling(temperature=0.8),
    "top-k 20": Sampling(top_k=20),
    "top-p 0.9": Sampling(top_p=0.9),
}


def generate(
    bundle: str,
    message: str,
    context: list[str] | None = None,
    max_length: int | None = None,
    sampling: Sampling | None = None,
    beams: int = 1,
    seed: int | None = None,
    runtime: str | None = None,
    numerics: str | None = None,
) -> dict[str, Any]:
    """The reply of a bundle to a message, with its statistics; of a bundle of kind "sequence" the text that goes on.

    Raises:
        UsageError: the bundle writes no replies, or a setting is out of its range.
    """
    how = asdict(sampling or Sampling(temperature=0.0))
    opened = opened_bundle(bundle)
    if opened.kind == "sequence":
        stream = open_stream(opened, runtime, numerics)
        if not isinstance(stream, CharacterStream):
            raise UsageError(f"{opened.path}: it writes nothing; score log lines with edgewright predict")
        return {"text": stream.write(message, max_length or CHARACTERS, how["temperature"], seed)}
    generator = open_generator(opened, runtime, numerics)
    reply = generator.generate_reply(message, context, max_length, **how, beams=beams, seed=seed)
    said = asdict(reply)
    del said["ids"]
    return said | {"runtime": generator.runtime, "numerics": generator.numerics}


def demo_hybrid(size: str, seed: int) -> dict[str, Any]:
    """An untrained hybrid model at work: its parameters, four ways to write, one forward pass, and how fast it is.

    What it writes means nothing; that the same seed writes the same does.

    Raises:
        UsageError: an unknown size.
    """
    if size not in SIZES:
        raise UsageError(f"--size: '{size}' is none of {', '.join(SIZES)}")
    if seed < 0:
        raise UsageError(f"--seed: {seed} is below 0")
    # bytes as tokens: without training there is no vocabulary to learn them from
    tokenizer = ByteBPE((), specials=("start", "end"))
    torch.manual_seed(seed)
    model = HybridRNNTransformer(SIZES[size]).eval()
    shapes = shapes_of([asdict(method) for method in model.methods(DEMO_LENGTHS)])
    generator = Generator(PyTorchRunner(model), shapes, tokenizer, "pytorch", "fp32")
    prompt = tokenizer.encode(DEMO_PROMPT)
    generator.generate([prompt], 2)  # the first call of a process pays for what later ones find ready
    generations = []
    for way, sampling in DEMO_WAYS.items():
        decoded, statistics = generator.generate([prompt], DEMO_TOKENS, sampling, seed=seed)
        generations.append({"way": way, "ids": decoded.ids[0].tolist()} | asdict(statistics))
    return {
        "size": size,
        "parameters": model.table() | {"in all": sum(p.numel() for p in model.parameters())},
        "prompt": DEMO_PROMPT,
        "generations": generations,
        "forward": _forward(model, seed),
    }


def demo_lines(answer: dict[str, Any]) -> list[str]:
    """The answer of `demo_hybrid` as a person reads it."""
    lines = [f"HybridRNNTransformer, {answer['size']}, untrained", "", "parameters"]
    lines += [f"  {name:<18}{count / 1e6:>8.2f} M" for name, count in answer["parameters"].items()]
    lines += ["", f'prompt: "{answer["prompt"]}"']
    for one in answer["generations"]:
        rate = one["tokens_per_second"]
        lines.append(
            f"  {one['way']:<16} first token {one['first_token_ms']:.1f} ms, "
            f"{'–' if rate is None else format(rate, '.0f')} tokens/s, cache {one['cache_bytes']:,} bytes"
        )
        lines.append(f"    {' '.join(map(str, one['ids']))}")
    forward = answer["forward"]
    lines += ["", f"forward pass: logits {tuple(forward['logits'])}, loss {forward['loss']:.3f}"]
    return lines


def _forward(model: HybridRNNTransformer, seed: int) -> dict[str, Any]:
    """Teacher forcing on random pairs of different lengths; padding does not count in the loss."""
    random = torch.Generator().manual_seed(seed)
    source = torch.randint(1, model.config.vocab_size, (2, 12), generator=random, dtype=torch.int32)
    target = torch.randint(1, model.config.vocab_size, (2, 9), generator=random, dtype=torch.int32)
    source[1, 7:], target[1, 5:] = 0, 0
    with torch.inference_mode():
        logits = model(source, target[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten().long(), ignore_index=0)
    return {"logits": list(logits.shape), "loss": float(loss)}
