"""The table of MIL operators. Constants, states, `cond` and `while_loop` belong to program.py itself."""

from collections.abc import Callable
from typing import Any

from edgewright.runtimes.mil import compressed, elementwise, indexing, layers, recurrent, reductions, shapes, windows

OPERATORS: dict[str, Callable[..., Any]] = {
    **elementwise.OPERATORS,
    **reductions.OPERATORS,
    **shapes.OPERATORS,
    **indexing.OPERATORS,
    **layers.OPERATORS,
    **windows.OPERATORS,
    **recurrent.OPERATORS,
    **compressed.OPERATORS,
}
