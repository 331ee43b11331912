"""The smaller commands, as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.compress.numerics import NUMERICS, SUPPORT, TARGETS
from edgewright.models import MODELS
from tests.end_to_end.runs import SMALL, edgewright, inside


def test_models_lists_families_with_parameters_and_formats() -> None:
    rows = inside("models", "--json").json()
    assert {row["name"] for row in rows} == set(MODELS)
    for row in rows:
        assert set(row) == {"name", "parameters", "formats"} and row["formats"] == list(TARGETS)
    parameters = {row["name"]: row["parameters"] for row in rows}
    assert parameters["sequence_net"] == 7_282 and parameters["hybrid"] == 32_805_352


def test_doctor_prints_the_one_table() -> None:
    answer = inside("doctor", "--json").json()
    for numerics in NUMERICS:
        for target in TARGETS:
            assert answer["numerics"][numerics][target]["supported"] == SUPPORT[numerics, target].supported
    lines = inside("doctor").stdout.splitlines()
    row = next(line for line in lines if line.startswith("weight_only_wi8_afp16"))
    assert row.split()[1:] == ["–", "–", "yes", "–"]


def test_data_list_shows_licence_and_tier_and_what_is_here() -> None:
    rows = {row["name"]: row for row in edgewright("data", "list", "--json", EDGEWRIGHT_DATA="/nowhere").json()}
    assert rows["emails"]["here"] and rows["emails"]["tier"] == "generated"
    assert rows["intent_clinc150"]["licence"].startswith("CC BY 3.0") and rows["intent_clinc150"]["redistributable"]
    assert not rows["urgency_jira"]["redistributable"]


def test_data_prepare_writes_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        done = edgewright("data", "prepare", "emails", "--count", "300", "--seed", "5", "--out", tmp_path / name)
        assert done.code == 0 and json.loads(done.stdout)["tier"] == "generated"
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["card.json", "test.jsonl.gz", "train.jsonl.gz", "validation.jsonl.gz"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_data_stats_counts_and_shows_no_text() -> None:
    answer = inside("data", "stats", "emails", "--count", "300", "--json").json()
    assert sum(split["rows"] for split in answer["splits"].values()) == 300
    assert "Bonjour" not in json.dumps(answer)


def test_data_stats_of_a_log_searches_no_leaks() -> None:
    answer = inside("data", "stats", "log_lines", "--count", "1000", "--json").json()
    assert answer["leaks"] is None and "a log repeats its lines" in answer["notes"][0]
    assert sum(split["rows"] for split in answer["splits"].values()) == 1000


def test_a_set_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    nowhere = {"EDGEWRIGHT_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = edgewright("run", "intent", "--plan", **nowhere)
    assert done.code == 3 and "edgewright data get intent_clinc150" in done.stderr
    done = inside("data", "stats", "intent_banking7")
    assert done.code == 2 and "did you mean 'intent_banking77'" in done.stderr


def test_data_get_fills_the_cache_from_a_folder(real_data: Path, tmp_path: Path) -> None:
    elsewhere = {"EDGEWRIGHT_DATA": str(tmp_path / "nothing"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    source = real_data / "intent_banking77"
    done = edgewright("data", "get", "intent_banking77", "--from", source, "--json", **elsewhere)
    assert done.code == 0, done.stderr
    assert edgewright("data", "stats", "intent_banking77", **elsewhere).code == 0


def test_version() -> None:
    from edgewright import __version__

    assert edgewright("--version").stdout.strip() == __version__


@pytest.mark.parametrize(
    "command",
    [
        *("run", "train", "export", "verify", "bench", "compare", "peers", "evaluate", "predict", "report", "bisect"),
        *("search", "sensitivity", "compare-weights"),
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    done = inside(command, "--help")
    assert done.code == 0 and "--json" in done.stdout


def test_train_runs_on_two_processes_and_is_reused_by_one(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL.replace("epochs = 6", "epochs = 2"), encoding="utf-8")
    more = ("train", recipe, "--build", tmp_path / "build", "--out", tmp_path / "out", "--effort", "rapid", "--json")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "edgewright"]
    done = subprocess.run(
        [*command, *map(str, more)], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first = json.loads(done.stdout)
    assert (tmp_path / "out" / "model.safetensors").exists()
    again = inside(*more)
    assert again.json() == first and "make  train" not in again.stderr
