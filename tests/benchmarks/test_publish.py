"""What is published of finished runs, in README.md above all."""

import pytest

from edgewright.benchmarks import publish
from edgewright.errors import EdgewrightError
from tests.benchmarks import sample_bench


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    readme = "before\n<!-- peers: made by `make results` -->\nold\n<!-- end of peers -->\nafter\n"
    assert publish.with_table(readme, "peers", "new") == readme.replace("old", "new")


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(EdgewrightError, match=r"the marks .* are missing"):
        publish.with_table("nothing", "peers", "new")


def test_the_readme_has_a_place_for_each_table() -> None:
    readme = (publish.ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("results", "peers"):
        assert "made of nothing" in publish.with_table(readme, name, "made of nothing")


def test_the_table_of_peers_names_all_and_says_where_ours_loses() -> None:
    record = sample_bench.sample_peers()
    table = publish.peers_table([record])
    for peer in record.peers:
        assert (f"**{peer.name}**" if peer.ours else peer.name) in table
    assert "More accurate than ours" in table and "Faster than ours" in table and "Smaller than ours" in table
