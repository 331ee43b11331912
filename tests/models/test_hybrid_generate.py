"""The hybrid model's decoder is PyTorch's, its cache gives what its forward gives, and `generate` keeps its word."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgewright.errors import UsageError
from edgewright.models.attention import SelfAttention
from edgewright.models.hybrid import SMALL, HybridConfig, HybridRNNTransformer
from tests.export.families import HYBRID, VOCABULARY, build

START, END = 1, 2


@pytest.fixture(scope="module")
def model() -> HybridRNNTransformer:
    made: HybridRNNTransformer = build("hybrid")
    with torch.no_grad():  # untrained, it would say the same to every prompt
        made.encoder.output.weight.mul_(10)
    return made


def prompts(rows: int, seed: int = 0) -> Tensor:
    """(rows, 9) ids of different lengths, padded with 0."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (rows, 9), generator=random, dtype=torch.int32)
    lengths = torch.randint(1, 10, (rows, 1), generator=random)
    return ids * (torch.arange(9) < lengths)


def test_the_decoder_computes_what_torchs_decoder_computes() -> None:
    torch.manual_seed(3)
    width, memory = HYBRID.width, torch.randn(2, 1, HYBRID.width)
    layer = nn.TransformerDecoderLayer(width, HYBRID.heads, HYBRID.feedforward, 0.0, batch_first=True)
    theirs = nn.TransformerDecoder(layer, HYBRID.layers).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # each layer others, and no bias or gain that is 0 or 1
            parameter.add_(torch.randn_like(parameter) * 0.1)
    ours = HybridRNNTransformer(HYBRID).eval()
    for mine, other in zip(ours.decoder.layers, theirs.layers, strict=True):
        mine.attention = SelfAttention.from_torch(other.self_attn)
        mine.cross = SelfAttention.from_torch(other.multihead_attn)
        mine.up, mine.down = other.linear1, other.linear2
        mine.attention_norm, mine.cross_norm, mine.feedforward_norm = other.norm1, other.norm2, other.norm3
    target = torch.randint(1, VOCABULARY, (2, 7), dtype=torch.int32)
    positions: Any = ours.decoder.positions
    embedded = ours.decoder.embedding(target) * ours.decoder.scale + positions[:7]
    with torch.inference_mode():
        later = nn.Transformer.generate_square_subsequent_mask(7)
        wanted = ours.decoder.output(theirs(embedded, memory, tgt_mask=later))
        layers: Any = ours.decoder.layers
        crossed = torch.cat([mine.crossed(memory) for mine in layers], dim=1)
        assert torch.allclose(ours.decoder(target, crossed), wanted, atol=2e-5)


def test_greedy_through_the_cache_is_greedy_by_repeated_forward(model: HybridRNNTransformer) -> None:
    source = prompts(24)
    # a token that some replies have, at different places, is taken for the end
    free = model.generate(source, START, END, HYBRID.max_target, temperature=0.0).tolist()
    places = {token: {row.index(token) for row in free if token in row} for token in range(3, VOCABULARY)}
    end = max(places, key=lambda token: len(places[token]))
    given = model.generate(source, START, end, HYBRID.max_target, temperature=0.0)
    lengths = set()
    for row, ids in zip(source, given.tolist(), strict=True):
        target = [START]
        while len(target) <= HYBRID.max_target and target[-1] != end:
            with torch.no_grad():
                scores = model(row[None], torch.tensor([target], dtype=torch.int32))[0, -1]
            scores[[0, START]] = -torch.inf
            target.append(int(scores.argmax()))
        assert [token for token in ids if token] == target[1:]
        lengths.add(len(target))
    assert len(lengths) > 1, "some rows end earlier than others"
    assert given.dtype == torch.int32 and given.shape == (24, max(lengths) - 1)


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"beams": 4}, {"top_k": 5, "top_p": 0.9, "seed": 4}])
def test_the_first_row_of_a_batch_is_the_row_alone(model: HybridRNNTransformer, settings: dict[str, float]) -> None:
    together = model.generate(prompts(5), START, END, 10, **settings)[0]  # type: ignore[arg-type]
    alone = model.generate(prompts(5)[:1], START, END, 10, **settings)[0]  # type: ignore[arg-type]
    assert together[together != 0].tolist() == alone.tolist()


def test_settings_matter_and_the_seed_repeats(model: HybridRNNTransformer) -> None:
    def ids(**settings: float) -> list[list[int]]:
        return model.generate(prompts(6), START, END, 12, **settings).tolist()  # type: ignore[arg-type]

    assert ids(seed=1) == ids(seed=1) != ids(seed=2)
    assert ids(top_k=1) == ids(temperature=0.0) != ids(seed=1)
    assert ids(temperature=0.0, repetition_penalty=5.0) != ids(temperature=0.0)
    assert ids(seed=1, top_k=0, top_p=0.0) == ids(seed=1, top_k=VOCABULARY, top_p=1.0)


def test_generation_leaves_the_mode_and_uses_no_dropout(model: HybridRNNTransformer) -> None:
    wanted = model.generate(prompts(4), START, END, 8, temperature=0.0)
    model.train()
    try:
        assert torch.equal(model.generate(prompts(4), START, END, 8, temperature=0.0), wanted)
        assert model.training
    finally:
        model.eval()


def test_more_tokens_than_the_cache_has_room_for_are_refused(model: HybridRNNTransformer) -> None:
    with pytest.raises(UsageError, match="max_length is 13; this model has room for 12"):
        model.generate(prompts(1), START, END, 13)


def test_the_full_size_has_the_parameters_of_its_table() -> None:
    made = HybridRNNTransformer(HybridConfig())
    table = {name: round(count / 1e6, 2) for name, count in made.table().items()}
    assert table == {"source embedding": 0.51, "encoder": 6.04, "decoder": 26.25}
    assert round(sum(p.numel() for p in made.parameters()) / 1e6, 2) == 32.81
    assert sum(p.numel() for p in HybridRNNTransformer(SMALL).parameters()) < 1e6
