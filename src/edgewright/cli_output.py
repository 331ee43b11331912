"""How the commands print what they found: rows, tables and lines on stdout, JSON where it is asked for."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def rows(found: list[Any], as_json: bool, line: Any, single: bool = False) -> None:
    """Each row as `line` writes it, or all as JSON; `single`: there is one, and the JSON is no list."""
    if as_json:
        print(json.dumps(found[0] if single else found, ensure_ascii=False, allow_nan=False))
        return
    for row in found:
        print(line(row))


def tables(found: Sequence[Any]) -> None:
    from rich.console import Console

    # a pipe has no width: a table must not be cut or folded there
    console = Console()
    wide = Console(width=None if console.is_terminal else 200)
    for table in found:
        wide.print(table)


def prediction(answer: Any) -> dict[str, Any]:
    """A label as an object, entities as an object with a list."""
    return {"entities": [asdict(entity) for entity in answer]} if isinstance(answer, tuple) else asdict(answer)


def is_prediction(answer: Any) -> bool:
    """Whether it is of a text: a label or entities. Else it is of a line of a stream."""
    return isinstance(answer, tuple) or hasattr(answer, "label")


def prediction_lines(answer: Any) -> str:
    if hasattr(answer, "score"):
        return f"{answer.line:>7}  {answer.score:9.3f}"
    if hasattr(answer, "bits"):
        return _bits_line(answer)
    if not isinstance(answer, tuple):
        return f"{answer.label}  {answer.confidence:.3f}"
    return "\n".join(
        f"{entity.type}  {entity.text}  [{entity.start}:{entity.end}]  {entity.confidence:.3f}"
        + (f"  {entity.value}" if entity.value else "")
        for entity in answer
    )


def _bits_line(answer: Any) -> str:
    place = "all" if answer.line is None else str(answer.line)
    unknown = f"  unknown {answer.unknown}" if answer.unknown else ""
    likely = ", ".join(f"{one.character!r} {one.probability:.3f}" for one in answer.next)
    counted = f"{place:>7}  {number(answer.bits, '.3f')} bits a character  characters {answer.characters}{unknown}"
    return counted + (f"\n   next  {likely}" if likely else "")


def check_line(check: dict[str, Any]) -> str:
    figures = f"error {number(check['golden_max_abs_logit_error'], '.3g')}"
    problems = "; ".join(check["problems"])
    return f"{check['runtime']:<11} {check['numerics']:<22} {check['verdict']:<14} {figures}  {problems}".rstrip()


def evaluation_line(row: dict[str, Any]) -> str:
    agreement = number(row["label_agreement"], ".4f")
    outside = f"  out of scope recall {row['out_of_scope']['recall']:.3f}" if row.get("out_of_scope") else ""
    spans = f"span F1 {row['span_f1']:.4f}  " if "span_f1" in row else ""
    return (
        f"{row['runtime']:<11} {row['numerics']:<22} n {row['n']}  {spans}accuracy {row['accuracy']:.4f}  "
        f"macro F1 {row['macro_f1']:.4f}  agreement {agreement}{outside}"
    )


def number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
