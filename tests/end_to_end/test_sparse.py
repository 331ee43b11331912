"""A run that makes single weights zero: Core ML leaves them out, the others store them, and the report says both."""

import pytest

from tests.end_to_end.runs import SMALL, Run, inside, refused, run

RECIPE = (
    SMALL.replace("lengths = [16, 64]", 'lengths = [16]\ntargets = ["coreml", "onnx"]').replace(
        "min_accuracy = 0.5", "min_accuracy = 0.3\nmin_label_agreement_int8 = 0.9"
    )
    + '[export.numerics]\nonnx = ["int8"]\ncoreml = ["int8", "sparse_wfp16_afp16", "sparse_wi8_afp16"]\n'
)
PRUNE = "[prune]\nsparsity = 0.5\nepochs = 4\nlearning_rate = 0.01\n"


@pytest.fixture(scope="module")
def sparse_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sparse")
    recipe = folder / "sparse.toml"
    recipe.write_text(RECIPE + PRUNE, encoding="utf-8")
    return run(recipe, folder)


def test_sparse_files_are_smaller_and_give_the_answers(sparse_run: Run) -> None:
    assert sparse_run.done.code == 0, sparse_run.done.stderr[-3000:]
    dense = sparse_run.cell("coreml", "weight_only_wi8_afp16")
    for numerics in ("sparse_wfp16_afp16", "sparse_wi8_afp16"):
        cell = sparse_run.cell("coreml", numerics)
        assert cell["verdict"] == "pass" and cell["label_agreement"] > 0.98
    assert cell["size_bytes"] < 0.8 * dense["size_bytes"]
    assert cell["accuracy"] == dense["accuracy"]  # the same integers


def test_the_report_says_what_the_zeros_gave_in_each_target(sparse_run: Run) -> None:
    dense, floats, integers, onnx = sparse_run.record["hurts"]
    assert onnx.startswith(
        "onnx stores the zeros (50.0% of the weights) like any other number: dynamic_wi8_afp32 holds"
    )
    assert dense.startswith(
        "coreml stores the zeros (50.0% of the weights) like any other number: weight_only_wi8_afp16"
    )
    assert floats.startswith("coreml sparse_wfp16_afp16 leaves out ") and "which saves" in floats
    assert integers.startswith("coreml sparse_wi8_afp16 leaves out ") and "was not measured" in integers
    assert integers in (sparse_run.out / "report.md").read_text(encoding="utf-8")


def test_the_smallest_file_ships_and_its_integers_are_the_other_file_s(sparse_run: Run) -> None:
    done = inside("compare-weights", sparse_run.bundle)
    assert done.code == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith("0 differing integers, equal scales in 2 files")
    (entry,) = [one for one in done.stdout.splitlines() if one.startswith("embedding")]
    assert entry.count("equal") == 2


def test_leaving_out_zeros_that_nothing_makes_is_refused_before_any_work(sparse_run: Run) -> None:
    recipe = sparse_run.out.parent / "without.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    done = inside("run", recipe, "--out", sparse_run.out.parent / "none")
    refused(done, 2, "export.numerics.coreml", "sparse_wfp16_afp16", "set sparsity in [prune], or name fp16")
