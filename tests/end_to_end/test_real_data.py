"""The packaged recipes on the real sets, at effort rapid: accuracy is asserted, not completion."""

import gzip
import json
from pathlib import Path

import pytest

from edgewright.pipeline.recipe import packaged
from tests.end_to_end.runs import Run, changed, edgewright, inside, run

# times are judged where they are measured, by runs that are published: beside other tests they say nothing
# a file of the longest: that of several lengths is test_small_run's, and its exports take three times as long
ONE_LENGTH = {"lengths = [8, 16, 32]": "lengths = [32]"}
NO_TIMES = "\nmax_p50_ms = 1000\nmax_text_to_label_p50_ms = 1000\n"


@pytest.fixture(scope="module", params=["intent", pytest.param("banking", marks=pytest.mark.slow)])
def real_run(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    text = packaged()[request.param].read_text(encoding="utf-8")
    assert text.rpartition("[")[2].startswith("rapid.gates]")
    recipe = folder / f"{request.param}.toml"
    recipe.write_text(changed(text, ONE_LENGTH) + NO_TIMES, encoding="utf-8")
    return run(recipe, folder)


# what five epochs reach; the published figures are in benchmarks/results/
ACCURACY = {"intent": 0.90, "banking": 0.88}


def test_every_cell_is_accurate_on_held_out_rows(real_run: Run) -> None:
    assert real_run.done.code == 0, real_run.done.stderr[-3000:]
    assert len(real_run.record["cells"]) == 8
    for cell in real_run.record["cells"]:
        assert cell["accuracy"] >= ACCURACY[real_run.record["recipe"]], cell["target"]
        assert cell["label_agreement"] >= (0.999 if cell["numerics"] == "fp32" else 0.99), cell["target"]


def test_what_ships_is_below_a_megabyte_and_beats_the_linear_baseline(real_run: Run) -> None:
    manifest = json.loads((real_run.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert {artifact["target"] for artifact in manifest["artifacts"]} == {"executorch", "litert", "coreml", "onnx"}
    assert all(artifact["shipped_bytes"] <= 1_000_000 for artifact in manifest["artifacts"])
    linear = [one["accuracy"] for one in real_run.record["baselines"] if one["name"] == "TF-IDF word, LinearSVC"]
    # five epochs already match words alone; 0.02 is two standard errors of 500 rows
    assert real_run.record["cells"][0]["accuracy"] >= linear[0] - 0.02


def test_no_text_of_the_set_is_kept(real_run: Run, real_data: Path) -> None:
    folder = real_data / {"intent": "intent_clinc150", "banking": "intent_banking77"}[real_run.record["recipe"]]
    with gzip.open(folder / "test.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    for path in (real_run.out / "record.json", real_run.out / "report.md", *real_run.bundle.glob("*.json*")):
        content = path.read_text(encoding="utf-8")
        assert not [text for text in texts if len(text) > 25 and text in content], path.name


def test_out_of_scope_rows_are_rejected_and_reported_apart(real_data: Path, real_run: Run) -> None:
    if real_run.record["recipe"] != "intent":
        assert all(cell["metrics"]["out_of_scope"] is None for cell in real_run.record["cells"])
        return
    for cell in real_run.record["cells"]:
        outside = cell["metrics"]["out_of_scope"]
        assert outside["n"] > 50 and outside["recall"] > 0.4 and outside["precision"] > 0.7
        assert outside["in_scope_accuracy"] < cell["accuracy"]
    path = real_data / "intent_clinc150" / "validation.jsonl.gz"
    answers = inside("evaluate", real_run.bundle, "--data", path, "--runtime", "onnx", "--json").json()
    assert answers[0]["n"] == 2961 and answers[0]["accuracy"] >= 0.9 and answers[0]["out_of_scope"]["n"] == 99


def test_the_urgency_model_is_measured_on_the_golden_set_and_never_trained_on_it(
    real_data: Path, tmp_path: Path
) -> None:
    from edgewright.data import sources
    from edgewright.errors import UsageError

    with pytest.raises(UsageError, match="never train or tune on it"):
        sources.rows(sources.find("golden_fr_en"), "train")
    path = real_data / "golden_fr_en" / "urgency.jsonl.gz"
    answers = edgewright("evaluate", "urgency", "--data", path, "--runtime", "litert", "--json").json()
    # 32 hand-written texts of four classes: better than chance (0.25) is all that is claimed
    assert answers[0]["n"] == 32 and answers[0]["accuracy"] > 0.3
