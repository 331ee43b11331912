"""Reads a .mlpackage: resolves its constants, binds its operators to functions, checks what does not fit together."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import DamagedFileError, EdgewrightError
from edgewright.runtimes.mil.compressed import constexpr_sparse_to_dense
from edgewright.runtimes.mil.operators import OPERATORS
from edgewright.runtimes.mil.program import (
    READ_STATE,
    WRITE_STATE,
    Block,
    FunctionInput,
    Mode,
    Name,
    Output,
    Program,
    Step,
    stored,
)
from edgewright.runtimes.mil.schema import DataType, DecodeError, Model
from edgewright.runtimes.mil.weights import Constants, Stored, element_type

MODEL_FOLDER = Path("Data", "com.apple.CoreML")


def read_model(package: Path) -> Any:
    """The protobuf message of a .mlpackage."""
    path = package / MODEL_FOLDER / "model.mlmodel"
    model = Model()
    try:
        model.ParseFromString(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedFileError(
            f"{package}: there is no {MODEL_FOLDER / 'model.mlmodel'}; get the package anew"
        ) from error
    except (OSError, DecodeError) as error:
        raise DamagedFileError(f"{path}: not readable as a Core ML model ({error}); get the package anew") from error
    if model.WhichOneof("Type") != "mlProgram" or not model.mlProgram.functions:
        raise DamagedFileError(f"{path}: no ML Program in it; only packages of type mlprogram can be run")
    return model


def declared_mode(model: Any) -> Mode:
    """ "fp16" where an operator of the program gives float16 (constants do not count), else "fp32"."""

    def blocks(block: Any) -> Iterator[Any]:
        yield block
        for operation in block.operations:
            for inner in operation.blocks:
                yield from blocks(inner)

    operations = (
        operation
        for function in model.mlProgram.functions.values()
        for outermost in function.block_specializations.values()
        for block in blocks(outermost)
        for operation in block.operations
        if operation.type != "const" and not operation.type.startswith("constexpr_")
    )
    types = (output.type.tensorType.dataType for operation in operations for output in operation.outputs)
    return "fp16" if DataType.FLOAT16 in types else "fp32"


def load_program(package: Path, mode: Mode, function: str | None = None) -> Program:
    """The function (by default the package's default one) of a package, with its constants decompressed.

    Raises:
        DamagedFileError: a file is missing or cut, or holds what the program does not expect.
        EdgewrightError: an operator that this interpreter does not know.
    """
    model = read_model(package)
    name = function or model.description.defaultFunctionName or "main"
    path = package / MODEL_FOLDER / "model.mlmodel"
    if name not in model.mlProgram.functions:
        known = ", ".join(sorted(model.mlProgram.functions))
        raise DamagedFileError(f"{path}: no function {name!r} in it, only {known}")
    message = model.mlProgram.functions[name]
    if message.opset not in message.block_specializations:
        raise DamagedFileError(f"{path}: function {name!r} has no block for {message.opset}; get the package anew")
    reader = _Reader(path, Constants(path.parent), mode)
    try:
        with np.errstate(all="ignore"):  # as in Program.run
            inputs = tuple(reader.function_input(i) for i in message.inputs)
            block = reader.block(message.block_specializations[message.opset], {}, {i.name for i in inputs})
            states = {i.name: i.store(np.zeros([s or 0 for s in i.sizes])) for i in inputs if i.is_state}
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        # protobuf accepts any message of the right form: parts may be missing, and sizes absurd
        reason = " ".join(str(error).split())
        raise DamagedFileError(
            f"{path}: inconsistent ({type(error).__name__}: {reason}); get the package anew"
        ) from error
    return Program(inputs, block.outputs, block, mode, states)


def stored_constants(package: Path) -> Iterator[tuple[str, str, dict[str, Stored]]]:
    """Each constant of each function as it lies in the package: (name, operator type, its tensors).

    The operator is "const" (one tensor, "val") or a constexpr_* with its integers, scales, masks and tables; constants
    that only such an operator takes are not listed a second time. Sparse integers are scaled by one operator and filled
    up with zeros by the next: they have the second one's name, the first one's type and its tensors.
    """
    constants = Constants(package / MODEL_FOLDER)
    for _, message in sorted(read_model(package).mlProgram.functions.items()):
        yield from _constants_of(message.block_specializations[message.opset].operations, constants)


def _constants_of(operations: Any, constants: Constants) -> Iterator[tuple[str, str, dict[str, Stored]]]:
    plain: dict[str, Stored] = {}
    compressed = []
    for operation in operations:
        if operation.type == "const" and _is_numeric_tensor(operation.attributes["val"]):
            plain[operation.outputs[0].name] = constants.tensor(operation.attributes["val"])
        elif operation.type.startswith("constexpr_"):
            compressed.append(operation)
    taken = set()
    scaled: dict[str, tuple[str, dict[str, Stored]]] = {}  # by output, sparse constants that another operator takes
    for operation in compressed:
        values = {**operation.attributes, **{k: a.arguments[0].value for k, a in operation.inputs.items()}}
        tensors = {k: constants.tensor(v) for k, v in values.items() if _is_numeric_tensor(v)}
        for argument, bound in operation.inputs.items():
            name = bound.arguments[0].name
            if name in plain:
                tensors[argument] = plain[name]
                taken.add(name)
        if len(operation.outputs) > 1:
            scaled.update(dict.fromkeys((output.name for output in operation.outputs), (operation.type, tensors)))
            continue
        source = next((b.arguments[0].name for b in operation.inputs.values() if b.arguments[0].name in scaled), None)
        kind, found = (operation.type, tensors) if source is None else scaled[source]
        yield operation.outputs[0].name, kind, found
    for name, stored_tensor in plain.items():
        if name not in taken:
            yield name, "const", {"val": stored_tensor}


def scaled_integers(kind: str, tensors: Mapping[str, Stored]) -> tuple[int, np.ndarray] | None:
    """Bits and integers, zeros included, of a constant of `stored_constants`; None where it has no integers."""
    if kind == "constexpr_sparse_blockwise_shift_scale":
        return tensors["nonzero_data"].element.bits, dense(tensors)
    part = {"constexpr_affine_dequantize": "quantized_data", "constexpr_blockwise_shift_scale": "data"}.get(kind)
    return None if part is None else (tensors[part].element.bits, tensors[part].values)


def dense(tensors: Mapping[str, Stored]) -> np.ndarray:
    """The integers or floats of a sparse constant, as `stored_constants` lists it, with its zeros; not scaled."""
    shape = tensors["shape"].values if "shape" in tensors else None
    return constexpr_sparse_to_dense(tensors["nonzero_data"].values, mask_of(tensors).values, shape)


def mask_of(tensors: Mapping[str, Stored]) -> Stored:
    """The mask of a sparse constant, which the two operators call differently."""
    return tensors["data_mask"] if "data_mask" in tensors else tensors["mask"]


def _is_numeric_tensor(value: Any) -> bool:
    is_tensor = value.type.WhichOneof("type") == "tensorType"
    return is_tensor and value.type.tensorType.dataType != DataType.STRING


class _Reader:
    """Turns protobuf messages into steps."""

    def __init__(self, path: Path, constants: Constants, mode: Mode) -> None:
        self.path = path
        self.constants = constants
        self.mode = mode

    def function_input(self, message: Any) -> FunctionInput:
        is_state = message.type.WhichOneof("type") == "stateType"
        tensor = (message.type.stateType.wrappedType if is_state else message.type).tensorType
        dtype = np.dtype(element_type(tensor.dataType, self.path).numpy)
        return FunctionInput(message.name, dtype, self._store(tensor.dataType), _sizes(tensor), is_state)

    def block(self, message: Any, outer: dict[str, Any], names: set[str]) -> Block:
        """outer: constants, and names: results, that lie around the block or come in."""
        known = dict(outer)
        names = {*names, *(i.name for i in message.inputs)}
        steps = []
        for operation in message.operations:
            for output in operation.outputs:
                if output.name in names or output.name in known:
                    raise self._damaged(f"{output.name!r} is computed twice")
            if operation.type == "const":
                known[operation.outputs[0].name] = self.constants.value(operation.attributes["val"])
                continue
            step = self._step(operation, known, names)
            if operation.type.startswith("constexpr_"):
                known.update(self._computed(step))
            else:
                steps.append(step)
                names.update(o.name for o in step.outputs)
        outputs = tuple(message.outputs)
        for name in outputs:
            if name not in names and name not in known:
                raise self._damaged(f"the block's output {name!r} is computed nowhere")
        constants = {name: known[name] for name in outputs if name in known}
        return Block(tuple(i.name for i in message.inputs), outputs, constants, tuple(steps))

    def _step(self, operation: Any, known: dict[str, Any], names: set[str]) -> Step:
        outputs = tuple(self._output(o) for o in operation.outputs)
        kind = operation.type
        constants: dict[str, Any] = {}
        variables, lists = [], []
        for argument, bound in operation.inputs.items():
            items = [self._item(b, known, names) for b in bound.arguments]
            if len(items) != 1 or argument in ("values", "loop_vars"):
                lists.append((argument, tuple(items)))
            elif isinstance(items[0], Name):
                variables.append((argument, items[0].name))
            else:
                constants[argument] = items[0]
        for argument, value in operation.attributes.items():
            if argument != "name":
                constants[argument] = self.constants.value(value)
        blocks = tuple(self.block(b, known, names) for b in operation.blocks)
        function = None
        if kind not in ("cond", "while_loop", READ_STATE, *WRITE_STATE):
            given = [*constants, *(name for name, _ in variables), *(name for name, _ in lists)]
            function = self._function(kind, operation.outputs[0].name if outputs else "", given)
        return Step(kind, function, constants, tuple(variables), tuple(lists), outputs, blocks)

    def _function(self, kind: str, output: str, given: list[str]) -> Callable[..., Any]:
        function = OPERATORS.get(kind)
        if function is None:
            raise EdgewrightError(
                f"{self.path}: operator {kind!r} (output {output!r}) is not in the reference interpreter"
            )
        try:
            inspect.signature(function).bind(**dict.fromkeys(given))
        except TypeError as error:
            raise EdgewrightError(
                f"{self.path}: operator {kind!r} (output {output!r}): {error}; the interpreter does not know this form"
            ) from error
        return function

    def _computed(self, step: Step) -> dict[str, Any]:
        """The results of a compressed constant. Its arguments are all known."""
        if step.function is None or step.variables or step.lists:
            raise self._damaged(f"the compressed constant {step.outputs[0].name!r} has arguments that are no constants")
        try:
            results = step.function(**step.constants)
        except (IndexError, ValueError) as error:
            raise self._damaged(f"the compressed constant {step.outputs[0].name!r} cannot be read ({error})") from error
        results = results if isinstance(results, tuple) else (results,)
        pairs = zip(step.outputs, results, strict=True)
        return {output.name: stored(step, output, result) for output, result in pairs}

    def _item(self, binding: Any, known: dict[str, Any], names: set[str]) -> Any:
        if binding.WhichOneof("binding") != "name":
            return self.constants.value(binding.value)
        if binding.name in known:
            return known[binding.name]
        if binding.name not in names:
            raise self._damaged(f"{binding.name!r} is used and computed nowhere before")
        return Name(binding.name)

    def _output(self, message: Any) -> Output:
        if message.type.WhichOneof("type") != "tensorType" or message.type.tensorType.dataType == DataType.STRING:
            return Output(message.name, lambda result: result, None)
        tensor = message.type.tensorType
        return Output(message.name, self._store(tensor.dataType), _sizes(tensor))

    def _store(self, data_type: int) -> Callable[[Any], np.ndarray]:
        """What turns a result into its declared type; floats are always held as float32."""
        element = element_type(data_type, self.path)
        if element.numpy is np.float16 and self.mode == "fp16":
            return lambda result: result.astype(np.float16).astype(np.float32)
        dtype = np.float32 if np.issubdtype(element.numpy, np.floating) else element.numpy
        return lambda result: result.astype(dtype, copy=False)

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: {what}; the file is damaged, get it anew")


def _sizes(tensor: Any) -> tuple[int | None, ...]:
    return tuple(d.constant.size if d.WhichOneof("dimension") == "constant" else None for d in tensor.dimensions)
