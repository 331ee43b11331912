"""What `edgewright search` refuses before any work, and what it says where nothing fits."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.benchmarks import search_record
from edgewright.errors import DamagedFileError, UsageError
from edgewright.pipeline import search_commands
from edgewright.pipeline.search_commands import Asked
from tests.benchmarks.sample_search import trial
from tests.end_to_end.runs import SMALL

pytest.importorskip("optuna", reason="needs edgewright[search]")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL, encoding="utf-8")
    return Asked(str(recipe), 0.1, "500_000", 4, None, None, ["onnx"], "rapid", tmp_path / "build", tmp_path / "out")


def test_the_options_become_a_search(asked: Asked) -> None:
    wanted = search_commands.read(asked)
    assert (wanted.max_ms, wanted.max_bytes, wanted.trials, wanted.metric) == (0.1, 500_000, 4, "accuracy")
    assert wanted.space.targets == ("onnx",) and not asked.out.exists()
    assert wanted.gates() == {"max_shipped_bytes": 500_000, "max_text_to_label_p50_ms": 0.1}
    # the task allows a million bytes: a larger budget does not loosen its bound
    loose = search_commands.read(dataclasses.replace(asked, max_bytes="5_000_000", max_ms=None))
    assert loose.gates() == {"max_shipped_bytes": 1_000_000}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_bytes": "many"}, ["--max-bytes", "500_000"]),
        ({"max_bytes": "-5"}, ["--max-bytes", "above 0"]),
        ({"max_ms": 0.0}, ["--max-ms", "above 0"]),
        ({"max_ms": float("nan")}, ["--max-ms", "above 0"]),
        ({"max_ms": float("inf")}, ["--max-ms", "a number above 0"]),
        ({"trials": 0}, ["--trials"]),
        ({"workers": 1000}, ["--workers", "256"]),
        ({"targets": ["tflite"]}, ["--target", "litert"]),
        ({"recipe": "none.toml"}, ["none.toml", "no such recipe"]),
        ({"recipe": "logs"}, ["edgewright search", "labels or tags"]),
        ({"recipe": "teacher_clinc"}, ["pretrained"]),
    ],
)
def test_a_wrong_option_is_refused_before_any_work(asked: Asked, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        search_commands.read(dataclasses.replace(asked, **changes))
    assert all(word in str(caught.value) for word in words) and not asked.out.exists()


def test_where_nothing_fits_the_nearest_misses_come_first_and_the_bound_is_named(asked: Asked) -> None:
    wanted = search_commands.read(asked)
    far = trial(0, None, 900_000, 0.05, "over_budget")
    near = trial(1, 0.9, 520_000, 0.05, "over_budget")
    untimed = trial(2, None, 501_000, None, "over_budget")
    slow = trial(3, None, 400_000, 0.11, "over_budget")
    refused = dataclasses.replace(trial(4, None, 1, None), verdict="refused")
    record = search_commands.assemble(wanted, [far, near, untimed, slow, refused], {}, 0)
    assert search_record.from_json(json.loads(json.dumps(search_record.to_json(record))), "there") == record
    assert record.data == "emails" and len(record.data_fingerprint or "") == 64
    assert record.nearest == (1, 3, 0) and record.chosen is None
    assert record.relax == "trial 1 would fit --max-bytes 520_000"
    assert search_commands.assemble(wanted, [slow], {}, 0).relax == "trial 3 would fit --max-ms 0.12"
    assert "1 of 5 points cannot be made" in record.notes[0]


@pytest.mark.parametrize("damage", ["no database", "a folder"])
def test_a_database_that_cannot_be_read_is_named(asked: Asked, damage: str) -> None:
    from edgewright.pipeline.search import study

    path = asked.out / "search.db"
    asked.out.mkdir()
    if damage == "a folder":
        path.mkdir()
    else:
        path.write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"search\.db: no database of a search that can be read; delete it"):
        study.open_study(search_commands.read(asked), print)
