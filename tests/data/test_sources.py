import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from edgewright.data import fetch, sources
from edgewright.data.catalogue import Download, Source, SplitFile
from edgewright.data.emails import LABEL_FIELDS
from edgewright.data.files import read_json, sha256
from edgewright.data.prepare import prepare
from edgewright.data.rows import read_rows, write_rows
from edgewright.data.tasks import URGENCY
from edgewright.errors import DataError, UsageError

needs_real_data = pytest.mark.skipif(
    "EDGEWRIGHT_DATA" not in os.environ, reason="needs the real data sets: set EDGEWRIGHT_DATA to their folder"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no EDGEWRIGHT_DATA."""
    monkeypatch.delenv("EDGEWRIGHT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def colours(home: Path) -> Source:
    """A small set whose files lie in `home/copy`."""
    folder = home / "copy"
    for split, label in (("train", "red"), ("validation", "blue"), ("test", "red")):
        write_rows(folder / f"{split}.jsonl.gz", [{"text": f"a {split} row", "label": label}])
    splits = {file.name.split(".")[0]: SplitFile(file.name, sha256(file)) for file in sorted(folder.iterdir())}
    return dataclasses.replace(
        sources.find("intent_hwu64"), name="colours", splits=MappingProxyType(splits), downloads=()
    )


def clinc150_original(home: Path) -> tuple[Source, Path]:
    data = {
        "train": [["what is my balance", "balance"], ["hello there", "greeting"]],
        "val": [["show the balance", "balance"]],
        "test": [["good day", "greeting"]],
        "oos_train": [["how tall is a giraffe", "oos"]],
        "oos_val": [],
        "oos_test": [["sing a song", "oos"]],
    }
    path = home / "origin" / "data_full.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data), encoding="utf-8")
    download = Download(path.as_uri(), sha256(path))
    return dataclasses.replace(sources.find("intent_clinc150"), downloads=(download,)), path


def test_a_missing_set_says_how_to_get_it(home: Path) -> None:
    with pytest.raises(DataError, match=r"run `edgewright data get intent_clinc150`, or set EDGEWRIGHT_DATA"):
        sources.rows(sources.find("intent_clinc150"), "train")
    with pytest.raises(DataError, match=r"run `edgewright data get intent_hwu64 --from FOLDER`"):
        sources.rows(sources.find("intent_hwu64"), "train")


def test_an_unknown_set_or_split_is_named(colours: Source) -> None:
    with pytest.raises(UsageError, match=r"no data set is called 'email'; did you mean 'emails'\?"):
        sources.find("email")
    fetch.get(colours, sources.cache_folder().parents[2] / "copy")
    with pytest.raises(UsageError, match="colours has no split 'dev'; it has test, train, validation"):
        sources.rows(colours, "dev")


def test_a_copy_is_checked_cached_and_read(colours: Source, home: Path) -> None:
    located = fetch.get(colours, home / "copy")
    assert located.flavour == "cleaned"
    assert located.folder == home / "cache" / "edgewright" / "data" / "colours"
    shutil.rmtree(home / "copy")
    assert [(row.text, row.label) for row in sources.rows(colours, "validation")] == [("a validation row", "blue")]


def test_the_folder_may_hold_a_folder_named_as_the_set(colours: Source, home: Path) -> None:
    (home / "sets").mkdir()
    (home / "copy").rename(home / "sets" / "colours")
    assert fetch.get(colours, home / "sets").flavour == "cleaned"


def test_the_data_folder_goes_before_the_cache(colours: Source, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.get(colours, home / "copy")
    shutil.copytree(home / "copy", home / "mine" / "colours")
    monkeypatch.setenv("EDGEWRIGHT_DATA", str(home / "mine"))
    assert sources.locate(colours).folder == home / "mine" / "colours"


def test_a_changed_copy_is_refused_when_fetched_and_when_read(colours: Source, home: Path) -> None:
    fetch.get(colours, home / "copy")
    cached = sources.cache_folder() / "colours" / "test.jsonl.gz"
    write_rows(cached, [{"text": "another row", "label": "red"}])
    with pytest.raises(DataError, match=r"test\.jsonl\.gz: sha256 .* is not that of colours .* get the set anew"):
        sources.rows(colours, "test")
    with pytest.raises(DataError, match="changed or damaged and is refused"):
        fetch.get(colours, cached.parent)


def test_a_folder_without_the_set_says_which_files_it_expects(colours: Source, home: Path) -> None:
    (home / "empty").mkdir()
    with pytest.raises(DataError, match=r"colours is not there; expected test\.jsonl\.gz, train\.jsonl\.gz"):
        fetch.get(colours, home / "empty")
    with pytest.raises(DataError, match=r"expected .* or train\.csv, test\.csv"):
        fetch.get(sources.find("intent_banking77"), home / "empty")


def test_a_set_without_address_is_not_downloaded(colours: Source) -> None:
    with pytest.raises(DataError, match=r"no address is known for colours .* --from FOLDER"):
        fetch.get(colours)


@pytest.mark.parametrize("by_hand", [False, True])
def test_official_clinc150_is_fetched_converted_and_recorded_as_such(home: Path, by_hand: bool) -> None:
    source, path = clinc150_original(home)
    located = fetch.get(source, path.parent if by_hand else None)
    assert located.flavour == "official"
    assert [(row.text, row.label) for row in sources.rows(source, "train")] == [
        ("what is my balance", "balance"),
        ("hello there", "greeting"),
        ("how tall is a giraffe", "oos"),
    ]
    assert [row.label for row in sources.rows(source, "test")] == ["greeting", "oos"]
    assert located.folder is not None
    card = read_json(located.folder / "card.json")
    assert card["splits"] == "official"
    assert card["counts"] == {"train": 3, "validation": 1, "test": 2}


def test_an_original_with_another_checksum_is_refused_and_leaves_nothing(home: Path) -> None:
    source, path = clinc150_original(home)
    path.write_text("{}", encoding="utf-8")
    for folder in (None, path.parent):
        with pytest.raises(DataError, match=r"data_full\.json: sha256 .* is refused"):
            fetch.get(source, folder)
    assert not sources.cache_folder().exists()


def test_a_damaged_official_copy_is_noticed(home: Path) -> None:
    source, _ = clinc150_original(home)
    located = fetch.get(source)
    assert located.folder is not None
    write_rows(located.folder / "test.jsonl.gz", [{"text": "a", "label": "b"}])
    with pytest.raises(DataError, match="is not that of intent_clinc150"):
        sources.rows(source, "test")


def test_an_origin_that_does_not_answer_is_one_line(home: Path) -> None:
    source, path = clinc150_original(home)
    path.unlink()
    with pytest.raises(
        DataError, match=r"not reachable .*; check the network, or fetch data_full\.json by hand"
    ) as raised:
        fetch.get(source)
    assert "\n" not in str(raised.value)


def test_banking77_keeps_its_test_split_and_gives_an_eighth_of_train_to_validation() -> None:
    def table(rows: list[tuple[str, str]]) -> bytes:
        stream = io.StringIO()
        csv.writer(stream).writerows([("text", "category"), *rows])
        return stream.getvalue().encode("utf-8")

    train = [(f'text {i}, "quoted"\nand on', f"label_{i % 3}") for i in range(2000)]
    files = {"train.csv": table(train), "test.csv": table([("a test row", "label_0")])}
    splits = fetch.banking77(files)
    assert splits == fetch.banking77(files)
    assert splits["test"] == [{"text": "a test row", "label": "label_0"}]
    together = [(r["text"], r["label"]) for split in ("train", "validation") for r in splits[split]]
    assert sorted(together) == sorted(train)
    assert 0.1 < len(splits["validation"]) / 2000 < 0.14


def test_addresses_are_known_for_two_sets_and_pinned_to_a_commit() -> None:
    with_address = {name: source for name, source in sources.SOURCES.items() if source.downloads}
    assert set(with_address) == {"intent_clinc150", "intent_banking77"} == set(fetch.CONVERTERS)
    for source in with_address.values():
        for download in source.downloads:
            assert source.commit is not None and f"/{source.commit}/" in download.url
            assert download.url.startswith("https://raw.githubusercontent.com/")


def test_every_declared_set_has_checksums_or_is_generated() -> None:
    for source in sources.SOURCES.values():
        assert source.generated == (not source.splits)
        for split in source.splits.values():
            assert len(bytes.fromhex(split.sha256)) == hashlib.sha256().digest_size


def test_only_open_sets_count_as_redistributable() -> None:
    redistributable = {name for name, source in sources.SOURCES.items() if source.redistributable}
    assert {"emails", "intent_clinc150", "intent_banking77"} <= redistributable
    assert redistributable.isdisjoint({"urgency_jira", "sentiment_sst5", "category_piaf_fr", "category_cfpb"})


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_golden_set_is_never_trained_or_tuned_on(split: str) -> None:
    with pytest.raises(UsageError, match="golden_fr_en is for testing only"):
        sources.rows(sources.find("golden_fr_en"), split)


def test_generated_rows_carry_the_label_that_is_asked_for() -> None:
    source = sources.find("emails")
    by_field = {field: sources.rows(source, "test", label_field=field, count=200, seed=1) for field in LABEL_FIELDS}
    assert {row.label for row in by_field["urgency"]} <= set(URGENCY)
    assert len({tuple(row.text for row in rows) for rows in by_field.values()}) == 1
    with pytest.raises(UsageError, match="emails has no label 'mood'"):
        sources.rows(source, "test", label_field="mood", count=200)
    with pytest.raises(UsageError, match="emails has no split 'dev'"):
        sources.rows(source, "dev", label_field="urgency", count=200)


def test_count_and_seed_change_the_fingerprint_of_generated_data_only() -> None:
    source = sources.find("emails")
    prints = {sources.fingerprint(source, count, seed) for count in (100, 200) for seed in (0, 1)}
    assert len(prints) == 4
    assert sources.fingerprint(source) == sources.fingerprint(source, 10_000, 0)
    with pytest.raises(UsageError, match="intent_clinc150 is no generated set"):
        sources.locate(sources.find("intent_clinc150"), count=5)


def test_the_fingerprint_tells_cleaned_from_official_splits(home: Path) -> None:
    source, _ = clinc150_original(home)
    official = fetch.get(source).fingerprint
    cleaned = sources.Located(source, "cleaned", home, {k: v.sha256 for k, v in source.splits.items()}).fingerprint
    assert official != cleaned


def test_prepared_emails_are_the_same_bytes_each_time_and_readable(tmp_path: Path) -> None:
    source = sources.find("emails")
    cards = [prepare(source, tmp_path / name, count=100, seed=4) for name in ("one", "two")]
    assert cards[0] == cards[1] == read_json(tmp_path / "one" / "card.json")
    assert cards[0]["counts"] == {"train": 80, "validation": 10, "test": 10}
    assert cards[0]["licence"] == "MIT" and cards[0]["tier"] == "generated"
    rows = list(read_rows(tmp_path / "one" / "test.jsonl.gz", label_field="category"))
    assert rows == sources.rows(source, "test", label_field="category", count=100, seed=4)


def test_a_prepared_copy_of_a_real_set_has_its_rows(colours: Source, home: Path) -> None:
    fetch.get(colours, home / "copy")
    card = prepare(colours, home / "out")
    assert card["generator"] is None and card["fingerprint"] == sources.fingerprint(colours)
    assert list(read_rows(home / "out" / "train.jsonl.gz")) == sources.rows(colours, "train")


def test_data_needs_no_torch() -> None:
    modules = "fetch, leaks, prepare, stats, tasks"
    code = f"import sys; from edgewright.data import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@needs_real_data
@pytest.mark.parametrize("name", sorted(set(sources.SOURCES) - {"emails", "log_lines"}))
def test_the_real_sets_are_the_declared_ones(name: str) -> None:
    source = sources.find(name)
    for split in source.splits:
        assert len(sources.rows(source, split)) > 20


@needs_real_data
def test_the_golden_labels_are_those_of_urgency() -> None:
    labels = {row.label for row in sources.rows(sources.find("golden_fr_en"), "test", label_field="urgency")}
    assert labels == set(URGENCY)
