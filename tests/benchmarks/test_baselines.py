"""The baselines learn, and their size is counted as documented."""

import numpy as np

from edgewright.benchmarks import baselines

TEXTS = ["the server is down", "server down now", "lunch at noon", "lunch menu today"] * 5
LABELS = np.array([1, 1, 0, 0] * 5)


def test_a_separable_set_is_learned_and_timed() -> None:
    model = baselines.fit(TEXTS, LABELS)
    result = baselines.evaluate(model, ["is the server down", "menu for lunch"], np.array([1, 0]), 2, "rapid")
    assert result.accuracy == 1.0 and result.macro_f1 == 1.0
    assert result.text_to_label_p50_ms is not None and 0.01 < result.text_to_label_p50_ms.value < 100


def test_the_size_counts_vocabulary_text_and_float_weights() -> None:
    model = baselines.fit(["ab cd", "cd ef"] * 2, np.array([0, 1] * 2), characters=False)
    # ab, cd, ef, "ab cd", "cd ef": 16 letters; each entry has a separator, an idf and a weight; there is one bias
    assert model.size_bytes == 16 + 5 * (1 + 4 + 4) + 4


def test_characters_help_with_misspelt_words() -> None:
    misspelt, truth = ["servr dwon", "lnuch nooon"], [1, 0]
    assert baselines.fit(TEXTS, LABELS).predict(misspelt).tolist() == truth
