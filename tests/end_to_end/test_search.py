"""A search from the command line: within a budget or not, cut off and gone on with, and a recipe that reproduces it."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.data.files import read_json, sha256
from tests.end_to_end.runs import SMALL, Done, changed, edgewright, inside, refused

SETTINGS = {
    'name = "small"': 'name = "tiny"',
    "count = 1500": "count = 500",
    "buckets = 2000": "buckets = 1000",
    "epochs = 6": "epochs = 2",
    "lengths = [16, 64]": 'lengths = [16, 64]\ntargets = ["onnx"]',
    "min_accuracy = 0.5": "min_accuracy = 0.2\nmin_label_agreement_int8 = 0.5",
    "max_accuracy_drop = 0.02": "max_accuracy_drop = 0.2",
}
RECIPE = f"""{changed(SMALL, SETTINGS)}
[search]
numerics = ["int8"]
[search.families.ngram_hybrid]
"model.width" = [8, 16, 32]
"tokenizer.buckets" = [500, 1000, 8000]
"prune.channels" = 0.0
"""
TRIALS = 3
BUDGET = ("--max-bytes", "150_000", "--max-ms", "50")  # 8,000 buckets of width 32 are more, at 8 bits


def search(folder: Path, *more: str | Path) -> list[str]:
    recipe = folder / "tiny.toml"
    if not recipe.exists():
        recipe.write_text(RECIPE, encoding="utf-8")
    where = ("--out", folder / "out", "--build", folder / "build", "--effort", "rapid", "--json")
    return [str(one) for one in ("search", recipe, *where, *more)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def found(folder: Path) -> Done:
    """A search by two workers that is killed while it works, then gone on with."""
    command = [sys.executable, "-m", "edgewright", *search(folder, *BUDGET, "--trials", str(TRIALS), "--workers", "2")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        killed = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        while killed.poll() is None and complete(folder) < 1:
            time.sleep(0.1)
        assert killed.poll() is None, (folder / "log").read_text(encoding="utf-8")
        killed.kill()
        killed.wait()
    assert 1 <= complete(folder) < TRIALS and running(folder) >= 1
    return edgewright(*search(folder, *BUDGET, "--trials", str(TRIALS), "--workers", "2"))


def complete(folder: Path) -> int:
    return states(folder).count("COMPLETE")


def running(folder: Path) -> int:
    return states(folder).count("RUNNING")


def states(folder: Path) -> list[str]:
    try:
        with sqlite3.connect(folder / "out" / "search.db", timeout=10) as database:
            return [row[0] for row in database.execute("SELECT state FROM trials")]
    except sqlite3.OperationalError:
        return []  # Optuna has not made the tables yet


def test_a_killed_search_goes_on_and_ends_with_the_number_of_trials_that_was_asked_for(
    found: Done, folder: Path
) -> None:
    assert found.code == 0, found.stderr[-3000:]
    record = found.json()
    assert len(record["trials"]) == TRIALS and complete(folder) == TRIALS and running(folder) == 0
    assert "was cut off: it is made again" in found.stderr
    assert read_json(folder / "out" / "search.json") == record


def test_every_trial_says_what_it_is_and_the_chosen_one_is_the_most_accurate_that_fits(found: Done) -> None:
    record = found.json()
    assert (record["schema"], record["kind"], record["metric"], record["max_bytes"]) == (
        1,
        "search",
        "accuracy",
        150_000,
    )
    for trial in record["trials"]:
        assert {"number", "settings", "verdict", "score", "shipped_bytes", "p50_ms", "targets", "weights"} <= set(trial)
        if trial["verdict"] == "fits":
            assert trial["trained"] and trial["shipped_bytes"] <= 150_000 and len(trial["weights"]) == 64
            assert 0 < trial["p50_ms"]["low"] <= trial["p50_ms"]["high"] <= 50
    fit = [trial for trial in record["trials"] if trial["verdict"] == "fits"]
    chosen = next(trial for trial in record["trials"] if trial["number"] == record["chosen"])
    assert chosen["score"] == max(trial["score"] for trial in fit)
    assert record["chosen"] in record["front"] and set(record["front"]) <= {trial["number"] for trial in fit}
    assert set(record["test"]) == {"onnx"} and 0 < record["test"]["onnx"]["accuracy"] <= 1


def test_what_is_too_large_is_not_trained(found: Done, folder: Path) -> None:
    large = RECIPE.replace('"tokenizer.buckets" = [500, 1000, 8000]', '"tokenizer.buckets" = 8000')
    large = large.replace('"model.width" = [8, 16, 32]', '"model.width" = 32')
    recipe = folder / "large.toml"
    recipe.write_text(large, encoding="utf-8")
    where = ("--out", folder / "large", "--build", folder / "build", "--effort", "rapid", "--trials", "2")
    done = inside("search", recipe, *where, *BUDGET, "--json")
    record = done.json()
    assert done.code == 1, done.stderr[-3000:]
    assert (
        record["chosen"] is None and record["front"] == [] and record["found"] is None and len(record["nearest"]) == 2
    )
    for trial in record["trials"]:
        assert trial["verdict"] == "over_budget" and not trial["trained"] and trial["score"] is None
        assert trial["shipped_bytes"] > 150_000 and "above --max-bytes" in trial["reason"]
    assert f"would fit --max-bytes {record['trials'][0]['shipped_bytes']:_}" in record["relax"]
    page = (folder / "large" / "search.html").read_text(encoding="utf-8")
    assert "nothing fits" in page and "The nearest misses" in page
    again = inside("search", recipe, *where, *BUDGET)
    assert again.code == 1 and "nothing fits in 0.15 MB and 50 ms (2 trials, 0 of them trained)" in again.stdout


def test_the_found_recipe_gives_the_same_weights_and_score(found: Done, folder: Path) -> None:
    record = found.json()
    chosen = next(trial for trial in record["trials"] if trial["number"] == record["chosen"])
    recipe = folder / "out" / "tiny-found.toml"
    fresh = folder / "fresh"
    done = inside("run", recipe, "--out", fresh / "out", "--build", fresh / "build", "--effort", "rapid", "--json")
    assert done.code in (0, 4), done.stderr[-3000:]
    trained = next((fresh / "build").glob("train-seed0-*"))
    assert sha256(trained / "model.safetensors") == chosen["weights"]
    cell = done.json()["cells"][0]
    assert (cell["target"], cell["shipped_bytes"]) == ("onnx", chosen["shipped_bytes"])
    assert cell["macro_f1"] == pytest.approx(record["test"]["onnx"]["macro_f1"])
    # stages of the search are those of a run: here nothing is trained again
    plan = inside("run", recipe, "--build", folder / "build", "--effort", "rapid", "--plan", "--json").json()
    assert next(step for step in plan if step["stage"] == "train-seed0")["cached"]


def test_a_later_call_adds_trials_and_other_settings_are_refused(found: Done, folder: Path) -> None:
    more = inside(*search(folder, *BUDGET, "--trials", str(TRIALS)))
    assert [trial["number"] for trial in more.json()["trials"]] == [trial["number"] for trial in found.json()["trials"]]
    refused(inside(*search(folder, "--max-bytes", "160_000", "--max-ms", "50")), 2, "another --max-bytes", "--out")


def test_the_page_stands_alone_and_holds_no_text_of_a_row(found: Done, folder: Path) -> None:
    from edgewright.data import tasks

    page = (folder / "out" / "search.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4 and "<script" not in page and "generated" in page.lower()
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in page
    texts = [row.text for row in tasks.rows(tasks.find("urgency"), "validation", 500, None) if row.text]
    for name in ("search.html", "search.md", "search.json", "tiny-found.toml"):
        content = (folder / "out" / name).read_text(encoding="utf-8")
        assert not [text for text in texts if len(text) > 20 and text in content]
    assert not list((folder / "build").rglob("texts.json"))


def test_a_wrong_option_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    refused(inside(*search(tmp_path, "--max-bytes", "many")), 2, "--max-bytes", "500_000")
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_install_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "hidden" / "optuna").mkdir(parents=True)
    broken = "raise ModuleNotFoundError(\"No module named 'optuna'\", name='optuna')\n"
    (tmp_path / "hidden" / "optuna" / "__init__.py").write_text(broken, encoding="utf-8")
    done = edgewright(*search(tmp_path), PYTHONPATH=str(tmp_path / "hidden"))
    refused(done, 3, "optuna", "pip install 'edgewright[search]'")
