"""What is published of finished runs, in README.md above all."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgewright.benchmarks import publish, search_record, sensitivity_record
from edgewright.benchmarks.reports import search_report, sensitivity_report
from edgewright.data.files import read_json, write_json, write_text
from edgewright.errors import DamagedFileError, EdgewrightError
from tests.benchmarks import sample_bench, sample_search, sample_sensitivity


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


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is published to; README.md is not there, so that a test that writes it fails."""
    monkeypatch.setattr(publish, "ROOT", tmp_path / "nowhere")
    monkeypatch.setattr(publish, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_a_search_is_kept_with_its_recipe_and_without_a_run_beside_it(tmp_path: Path, results: Path) -> None:
    record = sample_search.sample()
    write_json(tmp_path / "runs" / "intent" / "search.json", search_record.to_json(record))
    write_text(tmp_path / "runs" / "intent" / "intent-found.toml", 'name = "intent-found"\n')
    publish.publish(tmp_path / "runs", ["intent"])
    assert sorted(path.name for path in results.iterdir()) == [
        *("intent-found.toml", "intent-search.json", "intent-search.md")
    ]
    assert search_record.from_json(read_json(results / "intent-search.json"), "kept") == record
    assert (results / "intent-search.md").read_text(encoding="utf-8") == search_report.markdown(record)


def test_a_search_that_contradicts_its_trials_is_not_kept(tmp_path: Path, results: Path) -> None:
    record = sample_search.sample()
    path = tmp_path / "runs" / "intent" / "search.json"
    write_json(path, search_record.to_json(replace(record, front=record.front[1:])))
    with pytest.raises(EdgewrightError, match=r"search\.json: the front is .*search again"):
        publish.publish(tmp_path / "runs", ["intent"])
    assert not results.exists()


def test_a_sensitivity_is_kept(tmp_path: Path, results: Path) -> None:
    record = sample_sensitivity.sample()
    write_json(tmp_path / "runs" / "intent_half" / "sensitivity.json", sensitivity_record.to_json(record))
    publish.publish(tmp_path / "runs", ["intent_half"])
    kept = results / "intent_half-sensitivity"
    assert sensitivity_record.from_json(read_json(kept.with_suffix(".json")), "kept") == record
    assert kept.with_suffix(".md").read_text(encoding="utf-8") == sensitivity_report.markdown(record)


def test_a_folder_with_nothing_to_keep_is_named(tmp_path: Path, results: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"intent/record\.json: no such file"):
        publish.publish(tmp_path / "runs", ["intent"])
