"""The work of one operator for one call, as its file says it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Operand:
    """A tensor that an operator reads or writes. key: the same for the same tensor in all operators of the file.

    size_bytes: of what is touched: of a table the rows that are looked up, of a slice the slice.
    """

    key: str
    size_bytes: int


@dataclass(frozen=True)
class Work:
    """One operator. See bench_record.Operator for the kinds.

    macs: multiply-adds of convolutions and matrix products; other arithmetic is not counted, its operands are what
    takes time. integer: whether the multiplications are of 8-bit integers. operands: a reshape has none, since it
    need not move anything.
    """

    name: str
    kind: str
    macs: int = 0
    integer: bool = False
    operands: tuple[Operand, ...] = ()

    @property
    def bytes_moved(self) -> int:
        return sum(operand.size_bytes for operand in self.operands)


def working_set_bytes(operators: Iterable[Work]) -> int:
    """Bytes of all tensors that a call touches, each once."""
    sizes: dict[str, int] = {}
    for operator in operators:
        for operand in operator.operands:
            sizes[operand.key] = max(operand.size_bytes, sizes.get(operand.key, 0))
    return sum(sizes.values())


def numbered(operators: Iterable[Work]) -> list[Work]:
    """The same, with " #2" after a name that another one before it has: names tell operators apart."""
    seen: dict[str, int] = {}
    made = []
    for operator in operators:
        seen[operator.name] = seen.get(operator.name, 0) + 1
        count = seen[operator.name]
        made.append(operator if count == 1 else replace(operator, name=f"{operator.name} #{count}"))
    return made
