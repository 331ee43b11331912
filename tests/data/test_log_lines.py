"""Generated log lines: the same for a seed, clean in training, and each planted anomaly is what its label says."""

import hashlib
import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from edgewright.data.log_lines import ANOMALIES, LEVELS, LogLine, generate, splits
from edgewright.errors import UsageError


@pytest.fixture(scope="module")
def made() -> dict[str, list[LogLine]]:
    return splits(40_000, seed=0)


def sessions(lines: list[LogLine]) -> dict[str, list[LogLine]]:
    found = defaultdict(list)
    for line in lines:
        match = re.search(r"session=(\w+)", line.message)
        if match:
            found[match[1]].append(line)
    return found


def of_kind(lines: list[LogLine], kind: str) -> list[LogLine]:
    return [line for line in lines if line.anomaly == kind]


def test_the_lines_are_these_bytes_on_every_platform() -> None:
    text = "\n".join(line.text for line in generate(2_000, seed=3, anomalies=True))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "9c4b1c01ea4b5c3332e48bd73c2e5d9abef978423c86a5637bb1aabcdd65850b"
    )


def test_a_seed_repeats_and_another_gives_other_lines() -> None:
    assert generate(1_000, 5, anomalies=True) == generate(1_000, 5, anomalies=True)
    assert generate(1_000, 5, anomalies=True) != generate(1_000, 6, anomalies=True)


def test_splits_have_their_sizes_and_lines_ascend_in_time(made: dict[str, list[LogLine]]) -> None:
    assert {split: len(lines) for split, lines in made.items()} == {"train": 24000, "validation": 8000, "test": 8000}
    for lines in made.values():
        assert all(a.time_ms <= b.time_ms for a, b in pairwise(lines))
        assert {line.level for line in lines} <= set(LEVELS)


@pytest.mark.parametrize("count", [0, 999, 10**9])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} log lines cannot be generated"):
        splits(count, seed=0)


def test_training_is_clean_and_the_others_have_every_kind(made: dict[str, list[LogLine]]) -> None:
    assert not any(line.anomaly or line.hard for line in made["train"])
    for split in ("validation", "test"):
        kinds = Counter((line.anomaly, line.hard) for line in made[split] if line.anomaly)
        assert set(kinds) == {(kind, hard) for kind in ANOMALIES for hard in (False, True)}
        assert 0.005 < sum(kinds.values()) / len(made[split]) < 0.08


def test_the_text_does_not_tell(made: dict[str, list[LogLine]]) -> None:
    for line in made["test"][:2_000]:
        stamp, rest = line.text.split(" ", 1)
        assert re.fullmatch(r"2026-01-\d\dT[\d:.]{12}Z", stamp)
        assert rest == f"{line.level} {line.component} {line.message}"


def test_sessions_have_names_of_their_own(made: dict[str, list[LogLine]]) -> None:
    for lines in sessions(made["train"]).values():
        assert sum(" opened" in line.message for line in lines) <= 1


def test_clean_sessions_keep_the_order_of_steps(made: dict[str, list[LogLine]]) -> None:
    whole = [lines for lines in sessions(made["train"]).values() if " closed" in lines[-1].message]
    assert len(whole) > 500
    for lines in whole:
        said = [line.message for line in lines]
        assert sum(" opened" in message for message in said) == 1 and sum(" closed" in message for message in said) == 1
        in_cart = False
        for message in said:
            in_cart = in_cart or "POST /cart" in message
            if "card charged" in message:
                assert in_cart
                in_cart = False


def test_order_is_a_page_after_the_end_or_a_payment_of_nothing(made: dict[str, list[LogLine]]) -> None:
    for lines in sessions(made["test"]).values():
        for place, line in enumerate(lines):
            if line.anomaly == "order" and not line.hard:
                assert " closed" in lines[place - 1].message
            elif line.anomaly == "order":
                before = [earlier.message for earlier in lines[:place]]
                bought = [i for i, message in enumerate(before) if "card charged" in message]
                assert not any("POST /cart" in message for message in before[bought[-1] + 1 if bought else 0 :])


def test_unseen_templates_are_not_in_training(made: dict[str, list[LogLine]]) -> None:
    def bare(line: LogLine) -> str:
        return re.sub(r"\S*\d\S*", "*", line.message)

    known = {bare(line) for line in made["train"]}
    for line in made["test"]:
        assert (bare(line) not in known) == (line.anomaly == "unseen")


def test_values_are_outside_of_what_training_shows(made: dict[str, list[LogLine]]) -> None:
    def numbers(line: LogLine) -> tuple[float, float]:
        amount, took = re.search(r"amount=(\S+)", line.message), re.search(r"(-?\d+)ms", line.message)
        return float(amount[1]) if amount else 1.0, float(took[1]) if took else 0.0

    most = max(numbers(line)[0] for line in made["train"])
    for line in of_kind(made["test"], "value"):
        amount, took = numbers(line)
        assert amount > 4 * most if line.hard else amount < 0 or took <= 0


def test_loops_are_the_third_attempts_and_later(made: dict[str, list[LogLine]]) -> None:
    for lines in made.values():
        for line in lines:
            attempt = re.search(r"attempt=(\d+)", line.message)
            assert (line.anomaly == "loop") == (attempt is not None and int(attempt[1]) > 2)


def test_silences_are_gaps_between_heartbeats(made: dict[str, list[LogLine]]) -> None:
    last: dict[str, int] = {}
    for line in made["test"]:
        if line.message.startswith("heartbeat"):
            gap = line.time_ms - last.get(line.component, line.time_ms)
            assert (gap > 15_000) == (line.anomaly == "silence")
            assert line.anomaly is None or (gap < 25_000) == line.hard
            last[line.component] = line.time_ms


def test_bursts_are_errors_close_together_which_are_alone_else(made: dict[str, list[LogLine]]) -> None:
    def closest(line: LogLine, errors: list[LogLine]) -> int:
        return min(abs(line.time_ms - other.time_ms) for other in errors if other is not line)

    alone = [line for line in made["train"] if "answered 503" in line.message]
    assert len(alone) > 20 and all(closest(line, alone) >= 30_000 for line in alone)
    bursts = of_kind(made["test"], "burst")
    assert bursts and all(closest(line, bursts) <= 6_000 for line in bursts)


def test_drifting_lines_are_slower_than_in_training(made: dict[str, list[LogLine]]) -> None:
    def took(lines: list[LogLine]) -> dict[str, list[int]]:
        found = defaultdict(list)
        for line in lines:
            match = re.search(r" in (\d+)ms", line.message)
            if match:
                found[line.component + re.sub(r"\S*\d\S*", "*", line.message)].append(int(match[1]))
        return found

    usual = {key: sorted(values)[len(values) // 2] for key, values in took(made["train"]).items()}
    drifting = took(of_kind(made["test"], "drift"))
    slower = [value / usual[key] for key, values in drifting.items() for value in values]
    assert len(slower) > 50 and sorted(slower)[len(slower) // 2] > 1.5
