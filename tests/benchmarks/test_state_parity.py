"""A package that keeps its state beside the artifact that hands it out: what is compared, and what fails."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgewright.benchmarks.state_parity import RoundedState, compare, gates


def test_only_the_state_of_the_method_is_rounded() -> None:
    seen: list[tuple[np.ndarray, ...]] = []
    runner = SimpleNamespace(run=lambda *arrays, method: seen.append(arrays))
    values = [np.full(2, 0.1, np.float32) for _ in range(3)]
    rounded = RoundedState(runner, states=2)  # type: ignore[arg-type]
    rounded.run(*values, method="step")
    rounded.run(*values, method="forward")
    half = np.float32(np.float16(0.1))
    assert [[float(value[0]) for value in arrays] for arrays in seen] == [
        [np.float32(0.1), half, half],
        [np.float32(0.1)] * 3,
    ]


@pytest.mark.parametrize(
    ("kept", "rounded", "plain", "verdicts"),
    [
        (100.0, 100.0, 100.0, ["pass", "pass"]),
        (100.4, 100.4, 100.0, ["pass", "pass"]),  # the rounding of the state shows
        (100.4, 100.0, 100.0, ["fail", "pass"]),  # another program
        (101.0, 101.0, 100.0, ["pass", "fail"]),
        (np.nan, 100.0, 100.0, ["fail", "fail"]),
    ],
)
def test_another_program_fails_and_so_does_too_much_rounding(
    kept: float, rounded: float, plain: float, verdicts: list[str]
) -> None:
    found = gates(compare(*(np.full((3, 2), value) for value in (kept, rounded, plain))))
    assert [(gate.name, gate.verdict) for gate in found] == list(
        zip(("max_kept_state_error", "max_state_rounding"), verdicts, strict=True)
    )
