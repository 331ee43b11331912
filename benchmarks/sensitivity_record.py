"""What `edgewright sensitivity` measured: which layer at how many bits costs how much, and the bits that were chosen.

Figures only, as in benchmarks/record.py: no text of a data set.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edgewright.benchmarks.record import Machine, checked, plain
from edgewright.compress.quantize import Precision
from edgewright.compress.sensitivity import Choice, LayerCost

SCHEMA = 1


@dataclass(frozen=True)
class SensitivityRecord:
    """The model behind one step of a recipe, put on the grid layer by layer and all together.

    step: "train", "distill", "prune" or "qat". seed: of the model, the best of its step on validation. rows: of the
    validation split. max_drop: a share of 1 that the chosen bits were allowed to cost. costs, choices, all_eight: see
    compress/sensitivity.py. quantize: what a recipe's [quantize] says to store the layers so, in `numerics`.
    """

    recipe: str
    task: str
    step: str
    seed: int
    effort: str
    numerics: str
    max_drop: float
    float_accuracy: float
    rows: int
    costs: Annotated[tuple[LayerCost, ...], Field(min_length=1)]
    choices: Annotated[tuple[Choice, ...], Field(min_length=1)]
    all_eight: Choice
    quantize: Precision
    data: str
    data_fingerprint: str
    generated: bool  # the data is made by edgewright itself
    created: str  # ISO 8601, UTC
    machine: Machine
    kind: Literal["sensitivity"] = "sensitivity"
    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA

    @property
    def chosen(self) -> Choice:
        return self.choices[-1]

    @property
    def within(self) -> bool:
        """Whether the chosen bits cost no more than was allowed; else even 8 bits everywhere cost more."""
        return self.chosen.accuracy >= -self.max_drop


_RECORD = TypeAdapter(SensitivityRecord)


def to_json(record: SensitivityRecord) -> dict[str, Any]:
    """The record as JSON values, `schema` first."""
    values = plain(asdict(record))
    return {"schema": values.pop("schema"), "kind": values.pop("kind"), **values}


def from_json(values: Any, place: str) -> SensitivityRecord:
    """The record, checked; unknown keys are ignored, so that a later version may add some.

    Raises:
        DamagedFileError: no such record; `place` names it.
    """
    return checked(_RECORD, values, place, f"a record of sensitivity, schema {SCHEMA}")
