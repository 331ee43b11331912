"""What a converter that traces the module needs: example inputs, and an explanation when it refuses."""

import contextlib
import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._export.utils import _collect_all_valid_cia_ops
from torch._ops import OperatorBase
from torch.export import decomp_utils, exported_program
from torch.fx.traceback import NodeSource

from edgewright.errors import ExportError
from edgewright.models.methods import Method

OPERATOR = re.compile(r"\b(aten|prims)[.:]+(\w+)")


def example_inputs(method: Method, length: int | None, batch: int | None = None) -> dict[str, Tensor]:
    """Inputs of the method's types and shapes, by name: ids of 1 (a real token, not padding), floats of 0.

    batch: instead of the method's own.
    """
    inputs = {}
    for tensor in method.inputs:
        value = 1 if tensor.dtype.startswith("int") else 0
        inputs[tensor.name] = torch.full(method.sizes(tensor, length, batch), value, dtype=getattr(torch, tensor.dtype))
    return inputs


class OneMethod(nn.Module):
    """A method of a module as a module of its own, with named inputs and outputs."""

    def __init__(self, module: nn.Module, method: Method) -> None:
        super().__init__()
        self.module = module
        self.method = method
        self.eval()

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        outputs = getattr(self.module, self.method.name)(*(inputs[tensor.name] for tensor in self.method.inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {tensor.name: output for tensor, output in zip(self.method.outputs, outputs, strict=True)}


@contextlib.contextmanager
def quick_tracing() -> Iterator[None]:
    """What torch does again and again while a graph is traced and decomposed, done once: up to a third of an export.

    A node is made with a copy of the whole history of the node it comes from, which gets longer and never changes.
    Each decomposition asks the dispatcher, for every namespace of operators, which of them are composed of others.
    """

    def itself(source: NodeSource, memo: dict[int, object]) -> NodeSource:
        return source

    with (
        patch.object(NodeSource, "__deepcopy__", itself, create=True),
        patch.object(exported_program, "_collect_all_valid_cia_ops", _composed_operators),
        patch.object(decomp_utils, "_collect_all_valid_cia_ops", _composed_operators),
    ):
        yield


def _composed_operators() -> set[OperatorBase]:
    registered = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd")
    return set(_composed_operators_of(len(torch.ops._dir), len(registered)))


@functools.lru_cache(maxsize=1)
def _composed_operators_of(namespaces: int, registered: int) -> set[OperatorBase]:
    """Those of a process with so many: the converters bring in their own when they are imported."""
    return _collect_all_valid_cia_ops()


def refusal(converter: str, error: Exception, module: nn.Module, method: Method) -> ExportError:
    """The ExportError for what `converter` raised on a method of `module`; raise it `from error`."""
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    found = OPERATOR.search("\n".join(str(cause) for cause in causes))
    if found is None:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return ExportError(f"{converter} cannot convert {type(module).__name__}: {reason}")
    namespace, operator = found.groups()
    layer = _layer_of(operator, module, method) or type(module).__name__
    return ExportError(f"{converter} has no kernel for {namespace}.{operator} in layer '{layer}'; write it another way")


def _layer_of(operator: str, module: nn.Module, method: Method) -> str | None:
    """The path, as in `named_modules`, of the first layer that calls the operator; None where none does."""
    inputs = example_inputs(method, method.functions()[0][1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's pytree warns about itself
        program = torch.export.export(OneMethod(module, method), (), inputs, strict=False)
        decomposed = program.run_decompositions()
    nodes = [node for lowered in (program, decomposed) for node in lowered.graph.nodes]  # as written, and taken apart
    for same in (str.__eq__, str.endswith):  # prims.bessel_j0 was written as aten.special_bessel_j0
        for node in nodes:
            if same(getattr(node.target, "_opname", ""), operator) and node.meta.get("nn_module_stack"):
                path, _ = list(node.meta["nn_module_stack"].values())[-1]
                return str(path).removeprefix("module").removeprefix(".") or None
    return None


def used_parameters(module: nn.Module, methods: Sequence[Method]) -> frozenset[str]:
    """The names of the parameters that an output of one of the methods depends on.

    An architecture may have more: those of the attention over a single position in models/hybrid.py, say.
    """
    used = set()
    for method in methods:
        module.zero_grad(set_to_none=True)
        with torch.enable_grad():
            inputs = example_inputs(method, method.functions()[0][1]).values()
            outputs = getattr(module, method.name)(*inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            total = torch.stack([output.sum() for output in outputs]).sum()
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
        used |= {name for name, parameter in module.named_parameters() if parameter.grad is not None}
    module.zero_grad(set_to_none=True)
    return frozenset(used)
