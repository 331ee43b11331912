"""HybridRNNTransformer: a recurrent encoder that reads a prompt into one vector, and a Transformer that answers.

embedding → bidirectional LSTM layers → self-attention → mean → linear → context (B, 1, D) → post-norm Transformer
decoder → vocabulary. Sources: Chen et al. 2018, https://arxiv.org/abs/1804.09849 (recurrent encoder, Transformer
decoder); the decoder layers compute what torch.nn.TransformerDecoderLayer computes.

The context is one position, so the attention over it gives that position whatever the query: its product is the same
at every step, and `encode` computes it once a prompt for each layer. The query and key weights of that attention are
parameters of the architecture, as counted in its table, but nothing depends on them.
Shapes: B batch, S source tokens, T target tokens, D width, N heads, M the most target tokens, L layers, V vocabulary.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgewright.data.decoding import decode
from edgewright.data.sampling import Sampling
from edgewright.errors import UsageError
from edgewright.models import methods
from edgewright.models.attention import FORBIDDEN, Place, RowAt, SelfAttention, mean_of_real, only_real, place_of
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method


@dataclass(frozen=True)
class HybridConfig:
    vocab_size: int = 1_000  # row 0 is padding; source and target share the tokenizer, not the table
    width: int = 512
    lstm_layers: int = 3
    lstm_hidden: int = 256  # of each direction
    attention_heads: int = 4  # of the encoder
    layers: int = 6  # of the decoder
    heads: int = 8  # of the decoder
    feedforward: int = 2048
    max_target: int = 64  # M: the most tokens that can be generated, and what a cache has room for
    dropout: float = 0.1


# Learns short replies within minutes on a processor
SMALL = HybridConfig(
    width=128, lstm_layers=1, lstm_hidden=64, attention_heads=4, layers=2, heads=4, feedforward=256, max_target=32
)


class HybridRNNTransformer(nn.Module):
    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        self.source_embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        self.encoder = HybridEncoder(config)
        self.decoder = HybridDecoder(config)
        for embedding in (self.source_embedding, self.decoder.embedding):
            nn.init.normal_(embedding.weight, std=config.width**-0.5)
            with torch.no_grad():
                embedding.weight[0] = 0

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores of the next token at each target position, with the right tokens before it (teacher forcing).

        Args:
            source: (B, S) int32 ids, padded with 0 at the end.
            target: (B, T) int32 ids that begin with the start token, T at most M, padded with 0 at the end.

        Returns:
            (B, T, V) float32 logits.
        """
        return self.decoder(target, self.encode(source))

    def encode(self, source: Tensor) -> Tensor:
        """What the decoder's layers take from the prompt: (B, S) int32 ids give (B, L, D) float32."""
        real = (source != 0).to(torch.float32)  # (B, S)
        context = self.encoder(self.source_embedding(source), real)  # (B, 1, D)
        return torch.cat([layer.crossed(context) for layer in self.decoder.layers], dim=1)  # type: ignore[operator]

    def step(self, token: Tensor, position: Tensor, crossed: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """Scores of the token after `token`.

        Args:
            token: (B, 1) int32, the token at `position`.
            position: (1,) int32, from 0, below M.
            crossed: (B, L, D), what `encode` gave.
            caches: keys and values of each layer in turn, (B, N, M, D / N) each; zeros before the first step.

        Returns:
            (B, V) float32 logits, then the caches with this position written into them and 0 behind it.
        """
        return self.decoder.step(token, position, crossed, *caches)

    def generate(
        self,
        source: Tensor,
        start_token: int,
        end_token: int,
        max_length: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 0.0,
        beams: int = 1,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
    ) -> Tensor:
        """Replies to prompts, through the cache; see data/sampling.py for what the settings mean.

        Args:
            source: (B, S) int32 ids, padded with 0 at the end.
            max_length: the most tokens of a reply, its end token among them; at most M.
            temperature: 0 always takes the best token. With more than one beam nothing is drawn.
            top_k, top_p: 0 is off.
            seed: the same one gives the same replies; a row's depends on its prompt and its number only.

        Returns:
            (B, T) int32 on the CPU: without the start token, with the end token where it was reached, then 0.

        Raises:
            UsageError: a setting is out of its range.
        """
        if max_length > self.config.max_target:
            raise UsageError(f"max_length is {max_length}; this model has room for {self.config.max_target} tokens")
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
        training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                steps = HybridSteps(self, source)
                decoded = decode(steps, len(source), start_token, end_token, max_length, sampling, beams, seed)
        finally:
            self.train(training)
        return torch.from_numpy(decoded.ids)

    def empty_caches(self, batch: int = 1) -> tuple[Tensor, ...]:
        config = self.config
        shape = (batch, config.heads, config.max_target, config.width // config.heads)
        return tuple(torch.zeros(shape) for _ in range(2 * config.layers))

    def example_inputs(self, length: int = 8, batch: int = 1) -> tuple[Tensor, ...]:
        """(source, target) of shape (batch, length), without padding."""
        ids = torch.arange(batch * length, dtype=torch.int32).reshape(batch, length)
        ids = ids % (self.config.vocab_size - 1) + 1
        return ids, ids[:, : self.config.max_target]

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        """`encode` for prompts of these lengths, and `step`. Training's `forward` is no function of a file."""
        config = self.config
        room = ("batch", config.heads, config.max_target, config.width // config.heads)
        caches = [
            methods.Tensor(f"{kind}_{layer}", "float32", room)
            for layer in range(config.layers)
            for kind in ("keys", "values")
        ]
        written = [methods.Tensor(f"{cache.name}_next", "float32", room) for cache in caches]
        crossed = methods.Tensor("crossed", "float32", ("batch", config.layers, config.width))
        return (
            Method("encode", (methods.Tensor("source", "int32", ("batch", "length")),), (crossed,), lengths),
            Method(
                "step",
                (
                    methods.Tensor("token", "int32", ("batch", 1)),
                    methods.Tensor("position", "int32", (1,)),
                    crossed,
                    *caches,
                ),
                (methods.Tensor("logits", "float32", ("batch", config.vocab_size)), *written),
                state=tuple((before.name, after.name) for before, after in zip(caches, written, strict=True)),
            ),
        )

    def table(self) -> dict[str, int]:
        """Parameters by part."""
        parts = {
            "source embedding": self.source_embedding,
            "encoder": self.encoder,
            "decoder": self.decoder,
        }
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


class HybridSteps:
    """The model behind its prompts (B, S), as data/decoding.py takes it."""

    def __init__(self, model: HybridRNNTransformer, source: Tensor) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._crossed = model.encode(source.to(self._device))
        self._caches = tuple(cache.to(self._device) for cache in model.empty_caches(len(source)))

    def step(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """(B, V) scores after `tokens` (B, 1)."""
        at = torch.tensor([position], dtype=torch.int32, device=self._device)
        scores, *caches = self._model.step(torch.from_numpy(tokens).to(self._device), at, self._crossed, *self._caches)
        self._caches = tuple(caches)
        return scores.float().cpu().numpy()

    def reorder(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows."""
        chosen = torch.from_numpy(rows).to(self._device)
        self._crossed = self._crossed[chosen]
        self._caches = tuple(cache[chosen] for cache in self._caches)


class HybridEncoder(nn.Module):
    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        widths = [config.width] + [2 * config.lstm_hidden] * (config.lstm_layers - 1)
        self.lstms = nn.ModuleList([LSTM(width, config.lstm_hidden, bidirectional=True) for width in widths])
        self.attention = SelfAttention(2 * config.lstm_hidden, config.attention_heads)
        self.output = nn.Linear(2 * config.lstm_hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """The context (B, 1, D) of embedded tokens (B, S, D); `real` (B, S) is 1 at tokens, 0 at padding."""
        for lstm in self.lstms:
            x = lstm(self.dropout(x), real)
        read = self.attention(x, only_real(real))
        return self.output(self.dropout(mean_of_real(read, real))).unsqueeze(1)


class HybridDecoder(nn.Module):
    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width, padding_idx=0)
        self.scale = math.sqrt(config.width)
        # both are in the checkpoint, because a model is built without memory before its tensors are put in
        self.register_buffer("positions", sinusoids(config.max_target, config.width))
        self.register_buffer("numbers", torch.arange(config.max_target, dtype=torch.float32))
        self.row = RowAt()
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.layers)])
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.width, config.vocab_size)

    def forward(self, target: Tensor, crossed: Tensor) -> Tensor:
        """(B, T) ids and (B, L, D) give (B, T, V) logits; no position sees a later one."""
        length = target.shape[1]
        positions: Tensor = self.positions  # type: ignore[assignment]  # a buffer
        x = self.dropout(self.embedding(target) * self.scale + positions[:length])
        later = torch.ones(length, length, device=x.device).triu(1) * FORBIDDEN  # (T, T)
        for number, layer in enumerate(self.layers):
            x = layer(x, crossed[:, number : number + 1], later)
        return self.output(x)

    def step(self, token: Tensor, position: Tensor, crossed: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """See HybridRNNTransformer.step."""
        positions: Tensor = self.positions  # type: ignore[assignment]  # buffers
        numbers: Tensor = self.numbers  # type: ignore[assignment]
        place = place_of(position, numbers)
        x = self.embedding(token) * self.scale + self.row(positions, place)  # (B, 1, D)
        written: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            keys, values = caches[2 * number], caches[2 * number + 1]
            x, keys, values = layer.step(x, crossed[:, number : number + 1], keys, values, place)  # type: ignore[operator]
            written += [keys, values]
        return (self.output(x).squeeze(1), *written)


class DecoderLayer(nn.Module):
    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config.width, config.heads)
        self.attention_norm = nn.LayerNorm(config.width)
        self.cross = SelfAttention(config.width, config.heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.feedforward)
        self.down = nn.Linear(config.feedforward, config.width)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def crossed(self, context: Tensor) -> Tensor:
        """(B, 1, D): what any query takes from a context of one position (B, 1, D)."""
        return self.cross.output(self.cross.value(context))

    def forward(self, x: Tensor, crossed: Tensor, later: Tensor) -> Tensor:
        """(B, T, D), what is taken from the context (B, 1, D), and the mask of later positions give (B, T, D)."""
        x = self.attention_norm(x + self.dropout(self.attention(x, later)))
        return self._rest(x, crossed)

    def step(
        self, x: Tensor, crossed: Tensor, keys: Tensor, values: Tensor, place: Place
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One position (B, 1, D) and the caches (B, N, M, D / N) before it; the result, and the caches after it."""
        read, keys, values = self.attention.step(x, keys, values, place)
        return self._rest(self.attention_norm(x + read), crossed), keys, values

    def _rest(self, x: Tensor, crossed: Tensor) -> Tensor:
        x = self.cross_norm(x + self.dropout(crossed))
        return self.feedforward_norm(x + self.dropout(self.down(self.dropout(torch.relu(self.up(x))))))


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) float32: sines in the even columns, cosines in the odd ones (Vaswani et al. 2017)."""
    position = torch.arange(length, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table
