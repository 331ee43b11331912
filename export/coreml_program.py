"""From a method of a module to a MIL program with float weights: tracing, coremltools, the outputs' names.

Tracing is used although torch calls it old: through torch.export coremltools 9.0 drops keyword arguments without a
word (`gelu(approximate="tanh")` becomes exact, an attention mask is inverted); traced, both are right. See
docs/decisions/0005-coreml-without-a-mac.md.
"""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from edgewright.compress.numerics import Numerics
from edgewright.errors import ExportError
from edgewright.export.coreml_lstm import with_mil_lstm
from edgewright.export.coreml_tools import Builder, ScopeInfo, ScopeSource, coremltools
from edgewright.export.tracing import example_inputs
from edgewright.models.methods import Method

_LOGGER = logging.getLogger("coremltools")
PROBABILITIES = "probabilities"  # of a classifier, before Core ML makes a dictionary of them


class _Traced(nn.Module):
    """One method of the model; of a classifier the probabilities come first, as Core ML labels by them.

    kept: inputs that the module keeps from call to call, with the outputs that take their place.
    """

    def __init__(self, model: nn.Module, method: Method, is_classifier: bool, kept: dict[str, str]) -> None:
        super().__init__()
        self.model = with_mil_lstm(model)
        self.method = method
        self.is_classifier = is_classifier
        self.kept = kept
        for tensor in method.inputs:
            if tensor.name in kept:
                self.register_buffer(tensor.name, torch.zeros(method.sizes(tensor, None, batch=1)))
        self.eval()

    def forward(self, *given: Tensor) -> Any:
        fresh = iter(given)
        inputs = [getattr(self, t.name) if t.name in self.kept else next(fresh) for t in self.method.inputs]
        outputs = getattr(self.model, self.method.name)(*inputs)
        if self.is_classifier:
            return torch.softmax(outputs, dim=-1), outputs
        named = dict(zip([t.name for t in self.method.outputs], _tuple(outputs), strict=True))
        for before, after in self.kept.items():
            getattr(self, before)[:] = named.pop(after)  # copy_ has no conversion
        return tuple(named.values())


def _tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@contextlib.contextmanager
def converting() -> Iterator[None]:
    """Keeps the converter's progress bars and remarks away from the user, and turns its failures into ExportError."""
    remarks: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            remarks.append(record.getMessage())

    listener, propagate = Listener(), _LOGGER.propagate
    _LOGGER.addHandler(listener)
    _LOGGER.propagate = False
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch.jit.trace, on purpose
            warnings.filterwarnings("ignore", category=TracerWarning)  # the answers are checked afterwards
            warnings.filterwarnings("ignore", category=UserWarning, module="coremltools")  # renamed outputs
            # a bound of clip that float16 cannot hold becomes infinite, as it should
            warnings.filterwarnings("ignore", category=RuntimeWarning, module="coremltools")
            yield
    except (ExportError, OSError):
        raise
    except Exception as error:  # coremltools raises whatever its converters stumble over
        where = re.search(r"converting '(.+?)' op \(located at: '(.*?)'\)", "\n".join(remarks))
        place = f"operator '{where[1]}' in layer '{where[2].removeprefix('model/')}': " if where else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(f"Core ML: {place}{reason[:300]}") from error
    finally:
        _LOGGER.removeHandler(listener)
        _LOGGER.propagate = propagate


def program(
    model: nn.Module, method: Method, numerics: Numerics, target: Any, is_classifier: bool, kept: dict[str, str]
) -> Any:
    """The MIL program of one method with float weights, its function called "main" and its outputs by their names.

    kept: (input, output) pairs of the method that become states of the program, instead of inputs and outputs.
    """
    traced = _Traced(model, method, is_classifier, kept)
    length = method.functions()[0][1]
    examples = tuple(value for name, value in example_inputs(method, length, batch=1).items() if name not in kept)
    with torch.no_grad():
        script = torch.jit.trace(traced, examples, check_trace=False)  # type: ignore[no-untyped-call]
    names = [PROBABILITIES] * is_classifier + [t.name for t in method.outputs if t.name not in kept.values()]
    # torch calls results as the module's source does, "c", and the converter refuses one that is called as an input
    inside = None if is_classifier else [coremltools.TensorType(f"{name}_inside") for name in names]
    made = coremltools.convert(
        script,
        convert_to="milinternal",
        minimum_deployment_target=target,
        compute_precision=_precision(numerics),
        inputs=_input_types(method, kept),
        outputs=inside,
        states=[_state_type(method, name) for name in kept],
    )
    _name_outputs(made, names)
    return made


def _precision(numerics: Numerics) -> Any:
    return coremltools.precision.FLOAT32 if numerics == "fp32" else coremltools.precision.FLOAT16


def _input_types(method: Method, kept: dict[str, str]) -> list[Any]:
    """int32 or float32 inputs of one row, of each length of the method where they have one."""
    types = []
    for tensor in method.inputs:
        if tensor.name in kept:
            continue
        shapes = [method.sizes(tensor, length, batch=1) for length in sorted(method.lengths) or (None,)]
        flexible = "length" in tensor.shape and len(shapes) > 1
        shape = coremltools.EnumeratedShapes(shapes, default=shapes[0]) if flexible else shapes[0]
        types.append(coremltools.TensorType(tensor.name, shape, dtype=np.dtype(tensor.dtype).type))
    return types


def _state_type(method: Method, name: str) -> Any:
    """Core ML keeps states in float16 only."""
    tensor = next(tensor for tensor in method.inputs if tensor.name == name)
    wrapped = coremltools.TensorType(shape=method.sizes(tensor, None, batch=1), dtype=np.float16)
    return coremltools.StateType(wrapped, name=name)


def ios_target(version: int) -> Any:
    """coremltools' name for iOS 17 or iOS 18 as the least that a package runs on."""
    return {17: coremltools.target.iOS17, 18: coremltools.target.iOS18}[version]


def scope() -> Any:
    """What coremltools wants to know of each operator: the layers that it comes from."""
    return Builder.scope(
        ScopeInfo(ScopeSource.TORCHSCRIPT_MODULE_NAME, ["edgewright"]),
        ScopeInfo(ScopeSource.TORCHSCRIPT_MODULE_TYPE, ["edgewright"]),
    )


def _name_outputs(made: Any, names: list[str]) -> None:
    """Outputs under their names and in float32, which iOS 17 would otherwise give as float16."""
    function = made.functions["main"]
    for operation in function.operations:
        for result in operation.outputs:
            if result.name in names:  # a variable of the module's source that is called as an output
                result.name = f"{result.name}_before"
    with function, scope():
        function.set_outputs(
            [
                Builder.cast(x=output, dtype="fp32", name=name) if "float" in str(output.dtype) else output
                for output, name in zip(function.outputs, names, strict=True)
            ]
        )
    function.output_types = None  # the types that the float16 pass noted for the outputs of before
