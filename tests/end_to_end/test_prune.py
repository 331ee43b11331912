"""A pruned run: fewer buckets, channels and columns from the recipe to a smaller file that answers as PyTorch does."""

import pytest

from edgewright.data import tokenizer as tokenizers
from edgewright.runtimes.opening import open_classifier
from tests.end_to_end.runs import SMALL, Run, run

RECIPE = (
    SMALL.replace("buckets = 2000", "buckets = 20000").replace(
        "lengths = [16, 64]",
        'lengths = [64]\ntargets = ["litert"]\n[export.numerics]\nlitert = ["int8"]',
    )
    + "[prune]\nbuckets = 10000\nchannels = 0.5\nwidth = 0.5\nepochs = 2\n"
)


@pytest.fixture(scope="module")
def pruned_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pruned")
    recipe = folder / "pruned.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return run(recipe, folder)


def test_the_file_is_smaller_than_the_table_that_was_pruned(pruned_run: Run) -> None:
    assert pruned_run.done.code == 0, pruned_run.done.stderr[-3000:]
    cell = pruned_run.cell("litert", "dynamic_wi8_afp32")
    assert cell["verdict"] == "pass" and cell["accuracy"] > 0.5
    assert 10_000 * 8 < cell["size_bytes"] < 20_000 * 16


def test_the_bundle_has_the_tokenizer_of_the_pruned_model(pruned_run: Run) -> None:
    words = tokenizers.load(pruned_run.bundle / "tokenizer.json")
    assert words.vocab_size == 10_001
    predictor = open_classifier(pruned_run.bundle, "litert")
    assert predictor.predict("water is pouring through the ceiling, come now").label
