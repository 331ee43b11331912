"""The other family: a text CNN on word pieces, with long texts read in windows."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgewright.runtimes.opening import open_classifier
from tests.end_to_end.runs import SMALL, Run, run

RECIPE = (
    SMALL.replace('task = "urgency"', 'task = "category"')
    .replace(
        'kind = "hashed_ngrams"\nbuckets = 2000\nfeatures = 8', 'kind = "KIND"\nvocab_size = 1000\nwindow_stride = 32'
    )
    .replace('family = "ngram_hybrid"\nwidth = 16\nhidden = 16\nbag_hidden = 32', 'family = "text_cnn"\nwidth = 16')
    .replace("epochs = 6", "epochs = 8\nbatch_size = 32")
    .replace("lengths = [16, 64]", "lengths = [64]\ntargets = TARGETS")
    .replace("min_accuracy = 0.5", "min_accuracy = 0.35\nmin_label_agreement_int8 = 0.95")
)


# float32 files of this family are those of test_families.py; here int8, which is what ships
@pytest.fixture(scope="module", params=[("wordpiece", ["litert", "onnx"]), ("byte_bpe", ["onnx"])])
def cnn_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("cnn")
    recipe = folder / "small.toml"
    kind, targets = request.param
    numerics = "\n[export.numerics]\n" + "".join(f'{target} = ["int8"]\n' for target in targets)
    text = RECIPE.replace("KIND", kind).replace("TARGETS", json.dumps(targets))
    recipe.write_text(text + numerics, encoding="utf-8")
    return run(recipe, folder)


def test_it_passes_with_pytorchs_answers(cnn_run: Run) -> None:
    assert cnn_run.done.code == 0, cnn_run.done.stderr[-3000:]
    for cell in cnn_run.record["cells"]:
        assert cell["accuracy"] > 0.35 and cell["label_agreement"] >= 0.95
    assert cnn_run.record["model"]["family"] == "text_cnn"


def test_a_long_text_is_read_to_its_end(cnn_run: Run) -> None:
    predictor = open_classifier(cnn_run.bundle, "onnx")
    start = "hello there, this is only a long letter about nothing at all. " * 8
    calm, alarm = start + "thank you.", start + "URGENT: production is down, call me now!"
    assert not np.allclose(predictor.logits(calm), predictor.logits(alarm), atol=1e-3)
    assert predictor.tokenizer.window is not None and predictor.encode(alarm)[0].shape == (1, 64)


def test_the_bundle_is_found_whole_by_verify(cnn_run: Run, tmp_path: Path) -> None:
    from edgewright.benchmarks.verify import verify

    assert {check.verdict for check in verify(cnn_run.bundle)} == {"pass"}
