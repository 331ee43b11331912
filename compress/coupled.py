"""What has to be cut together: a hidden unit is a row of one weight, a column of the next, and perhaps more.

`torch-pruning` follows a traced model from the layer where a unit is made to all that read it (Fang et al. 2023,
https://arxiv.org/abs/2301.12900): through residuals, concatenations and the heads of attention. Only this graph is
used: what is cut is written down as parameters and places, so that the cut model is built anew from a smaller config.
The fused LSTM has no such trace (and the library's own rule for torch.nn.LSTM cuts rows of one gate only): the groups
of the two families that have one are written by hand.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.errors import missing_extra
from edgewright.models.encoder import Encoder
from edgewright.models.lstm_attention import LSTMAttention
from edgewright.models.ngram_hybrid import NgramHybrid
from edgewright.models.tagger import Tagger
from edgewright.models.text_cnn import TextCNN

GATES = 4


@dataclass(frozen=True)
class Slice:
    """The part of one parameter that belongs to the units of a group.

    places: (units, n) int64, where along `dim` each unit lies; n is 1 but where it lies in several places.
    """

    parameter: str
    dim: int
    places: Tensor


@dataclass(frozen=True)
class Group:
    """Units of which each is cut whole, and everything that belongs to them.

    field: of the family's config, which says how many units there are.
    """

    field: str
    slices: tuple[Slice, ...]

    @property
    def units(self) -> int:
        return len(self.slices[0].places)


def groups(model: nn.Module) -> list[Group]:
    """All groups of a model of a family that can be pruned; of one field there may be several, cut alike.

    Raises:
        MissingExtraError: torch-pruning is not installed.
    """
    if isinstance(model, LSTMAttention):
        return _lstm_attention(model)
    if isinstance(model, Tagger) and model.config.encoder == "bilstm":
        return _bilstm_tagger(model)
    traced = [_traced(model, field, path) for field, path in _roots(model)]
    return [*traced, _tagger_width(model)] if isinstance(model, Tagger) else traced


def _roots(model: Any) -> list[tuple[str, str]]:
    """Where the units of each field are made."""
    if isinstance(model, NgramHybrid):
        return [("hidden", "convolution_1"), ("bag_hidden", "bag"), ("width", "embedding")]
    if isinstance(model, TextCNN):
        return [("hidden", "convolution_1"), ("width", "embedding"), ("width", "convolution_2")]
    if isinstance(model, Tagger):
        return [("hidden", "entry")]
    assert isinstance(model, Encoder), f"{type(model).__name__} cannot be pruned"
    layers = range(model.config.layers)
    return [
        *(("feedforward", f"layers.{layer}.up") for layer in layers),
        *(("heads", f"layers.{layer}.attention.value") for layer in layers),
        ("width", "embedding"),
    ]


def _traced(model: Any, field: str, path: str) -> Group:
    try:
        import torch_pruning
    except ImportError as error:
        raise missing_extra(error, "prune", "[prune] channels, heads and width") from error

    graph = torch_pruning.DependencyGraph().build_dependency(
        model, example_inputs=model.example_inputs(8, 2), verbose=False
    )
    root, units = model.get_submodule(path), getattr(model.config, field)
    width = root.embedding_dim if isinstance(root, nn.Embedding) else root.weight.shape[0]
    cut = graph.get_pruner_of_module(root).prune_out_channels
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    places: dict[tuple[str, int], list[set[int]]] = {}
    for item in graph.get_pruning_group(root, cut, list(range(width))):
        reads = item.dep.handler in (torch_pruning.prune_linear_in_channels, torch_pruning.prune_conv_in_channels)
        for parameter, dim in _parameters(item.dep.target.module, reads):
            of_units = places.setdefault((names[parameter], dim), [set() for _ in range(width)])
            for place, unit in zip(item.idxs, item.root_idxs, strict=True):
                of_units[unit].add(place)
    return Group(
        field,
        tuple(
            Slice(name, dim, torch.tensor([sorted(one) for one in of_units]).reshape(units, -1))
            for (name, dim), of_units in places.items()
        ),
    )


def _parameters(layer: nn.Module | nn.Parameter, reads: bool) -> list[tuple[Tensor, int]]:
    """The parameters of a layer that units lie in, and along which dimension: a layer that reads them has columns."""
    if isinstance(layer, nn.Parameter):
        return [(layer, layer.dim() - 1)]
    if isinstance(layer, nn.Embedding):
        return [(layer.weight, 1)]
    if isinstance(layer, nn.Linear | nn.Conv1d) and reads:
        return [(layer.weight, 1)]
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.LayerNorm):
        return [(parameter, 0) for parameter in (layer.weight, layer.bias) if parameter is not None]
    return []


def _lstm(path: str, side: str, units: int) -> list[Slice]:
    """A unit of an LSTM: a row of each gate, and a column of what reads the state before."""
    own = torch.arange(units)
    gates = own.unsqueeze(1) + units * torch.arange(GATES)  # (units, 4)
    rows = [
        Slice(f"{path}.{part}{side}.{kind}", 0, gates) for part in ("input", "recurrent") for kind in ("weight", "bias")
    ]
    return [*rows, Slice(f"{path}.recurrent{side}.weight", 1, own.unsqueeze(1))]


def _lstm_attention(model: LSTMAttention) -> list[Group]:
    hidden, heads, width = model.config.hidden, model.config.heads, model.config.width
    all_units = torch.arange(hidden).unsqueeze(1)
    read = [Slice(f"attention.{part}.weight", 1, all_units) for part in ("query", "key", "value")]
    found = [Group("hidden", (*_lstm("lstm", "", hidden), *read))]
    # queries meet keys, and values the columns of the output, number by number: each head keeps as many
    for head in all_units.reshape(heads, -1, 1):
        pairs = [Slice(f"attention.{part}.{kind}", 0, head) for part in ("query", "key") for kind in ("weight", "bias")]
        values = [Slice(f"attention.value.{kind}", 0, head) for kind in ("weight", "bias")]
        found += [
            Group("hidden", tuple(pairs)),
            Group("hidden", (*values, Slice("attention.output.weight", 1, head))),
        ]
    output = [Slice(f"attention.output.{kind}", 0, all_units) for kind in ("weight", "bias")]
    found.append(Group("hidden", (*output, Slice("head.weight", 1, all_units))))
    columns = torch.arange(width).unsqueeze(1)
    return [*found, Group("width", (Slice("embedding.weight", 1, columns), Slice("lstm.input.weight", 1, columns)))]


def _bilstm_tagger(model: Tagger) -> list[Group]:
    hidden = model.config.hidden
    found = []
    for number, side in enumerate(model.lstm.directions()):
        read = Slice("head.weight", 1, torch.arange(hidden).unsqueeze(1) + number * hidden)
        found.append(Group("hidden", (*_lstm("lstm", side, hidden), read)))
    return [*found, _tagger_width(model)]


def _tagger_width(model: Tagger) -> Group:
    """By hand too: the graph would take the filters of the character CNN, which stand behind the width, for it."""
    columns = torch.arange(model.config.width).unsqueeze(1)
    bilstm = model.config.encoder == "bilstm"
    readers = [f"lstm.input{side}" for side in model.lstm.directions()] if bilstm else ["entry"]
    return Group("width", tuple(Slice(f"{path}.weight", 1, columns) for path in ("embedding", *readers)))
