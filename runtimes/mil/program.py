"""A MIL program, ready to run: blocks of steps, branches, loops and states. `loading.py` makes one from a package.

Rounding ("fp16" mode): each result whose declared type is float16 is rounded to float16; the operator itself computes
in float32. In "fp32" mode float16 results stay float32, and float16 weights are widened.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from edgewright.errors import EdgewrightError

Mode = Literal["fp32", "fp16"]
_LOOP_LIMIT = 1_000_000  # a while_loop of a damaged program must end

# Operators that this file runs itself, as they need more than their arguments.
READ_STATE = "read_state"
WRITE_STATE = ("write_state", "coreml_update_state")


@dataclass(frozen=True)
class Output:
    """A result's name, what stores it as its declared type, and its declared sizes (None: any)."""

    name: str
    store: Callable[[Any], Any]
    sizes: tuple[int | None, ...] | None  # None: not a tensor


@dataclass(frozen=True)
class Step:
    """One operator, ready to run."""

    type: str
    function: Callable[..., Any] | None  # None: cond, while_loop and states
    constants: dict[str, Any]  # argument -> value
    variables: tuple[tuple[str, str], ...]  # argument, name of an earlier result
    lists: tuple[tuple[str, tuple[Any, ...]], ...]  # argument, its items: a Name or a value
    outputs: tuple[Output, ...]
    blocks: tuple["Block", ...]


@dataclass(frozen=True)
class Name:
    """Stands for an earlier result in a list of arguments."""

    name: str


@dataclass(frozen=True)
class Block:
    """A function's body, or that of a branch or a loop; `inputs` and `outputs` are names of results."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Any]  # results known at loading, by name
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class FunctionInput:
    """An input of a function: its declared sizes (None: any) and how it is stored."""

    name: str
    dtype: np.dtype[Any]
    store: Callable[[Any], Any]
    sizes: tuple[int | None, ...]
    is_state: bool


@dataclass
class Program:
    """A function of a package. `run` and `reset` may change `states`; nothing else is ever changed."""

    inputs: tuple[FunctionInput, ...]
    output_names: tuple[str, ...]
    block: Block
    mode: Mode
    states: dict[str, Any] = field(default_factory=dict)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The outputs by name, for one array an input."""
        environment: dict[str, Any] = {}
        for expected in self.inputs:
            if expected.is_state:
                environment[expected.name] = expected.name  # a state is passed on by its name
            else:
                environment[expected.name] = expected.store(np.asarray(feeds[expected.name]))
        with np.errstate(all="ignore"):  # infinities and NaN flow on, as they would on a device
            results = self._run_block(self.block, environment)
        return dict(zip(self.output_names, results, strict=True))

    def reset(self) -> None:
        """Set the states to zeros, as they are when a package is loaded."""
        self.states = {name: np.zeros_like(value) for name, value in self.states.items()}

    def _run_block(self, block: Block, environment: dict[str, Any]) -> list[Any]:
        environment.update(block.constants)
        for step in block.steps:
            arguments = dict(step.constants)
            for name, source in step.variables:
                arguments[name] = environment[source]
            for name, items in step.lists:
                arguments[name] = [environment[i.name] if isinstance(i, Name) else i for i in items]
            try:
                results = self._run_step(step, arguments, environment)
                for output, result in zip(step.outputs, results, strict=True):
                    environment[output.name] = stored(step, output, result)
            except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
                # what NumPy says to sizes, types and indices that do not fit
                where = f"operator {step.type!r} (output {step.outputs[0].name if step.outputs else ''!r})"
                reason = " ".join(str(error).split())
                raise EdgewrightError(
                    f"{where}: {reason}; the program may be damaged, or an input out of range"
                ) from error
        return [environment[name] for name in block.outputs]

    def _run_step(self, step: Step, arguments: dict[str, Any], environment: dict[str, Any]) -> Any:
        if step.function is not None:
            results = step.function(**arguments)
            return results if isinstance(results, tuple) else (results,)
        if step.type == "cond":
            return self._run_block(step.blocks[0 if bool(arguments["pred"]) else 1], dict(environment))
        if step.type == "while_loop":
            return self._loop(step, arguments, environment)
        state = arguments["state" if "state" in arguments else "input"]
        if step.type == READ_STATE:
            return (self.states[state],)
        declared = {i.name: i for i in self.inputs}[state]
        value = declared.store(arguments["data" if "data" in arguments else "value"])
        self.states[state] = value
        return (value,) if step.outputs else ()

    def _loop(self, step: Step, arguments: dict[str, Any], environment: dict[str, Any]) -> list[Any]:
        condition, body = step.blocks
        values = arguments["loop_vars"]
        values = values if isinstance(values, list) else [values]
        for _ in range(_LOOP_LIMIT):
            going_on = self._run_block(condition, {**environment, **dict(zip(condition.inputs, values, strict=True))})
            if not bool(going_on[0]):
                return values
            values = self._run_block(body, {**environment, **dict(zip(body.inputs, values, strict=True))})
        raise EdgewrightError(f"operator 'while_loop' (output {step.outputs[0].name!r}) does not end")

    def steps(self) -> Iterator[Step]:
        """All operators that run, also those inside branches and loops."""
        return _steps(self.block)


def _steps(block: Block) -> Iterator[Step]:
    for step in block.steps:
        yield step
        for inner in step.blocks:
            yield from _steps(inner)


def stored(step: Step, output: Output, result: Any) -> Any:
    """`result` as its declared type.

    Raises:
        EdgewrightError: it has another shape than declared.
    """
    if output.sizes is None:
        return result
    result = np.asarray(result)
    if len(result.shape) != len(output.sizes) or any(
        wanted is not None and wanted != got for wanted, got in zip(output.sizes, result.shape, strict=True)
    ):
        raise EdgewrightError(
            f"operator {step.type!r} gives shape {result.shape} where the program declares {output.sizes} for "
            f"{output.name!r}; the program may be damaged"
        )
    return output.store(result)
