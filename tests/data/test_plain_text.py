import gzip
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from edgewright.data import sources
from edgewright.data.catalogue import Source, SplitFile
from edgewright.data.characters import Characters
from edgewright.data.files import sha256
from edgewright.data.plain_text import lines, natural, stream, windows_of
from edgewright.data.rows import Row, read_rows
from edgewright.data.text import normalise
from edgewright.errors import DataError, UsageError


@pytest.fixture
def fables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A set of plain text with two train parts, in the folder of EDGEWRIGHT_DATA."""
    folder = tmp_path / "fables"
    folder.mkdir()
    texts = {"train_old": "a fox\n \n  and grapes \n", "train_new": "a crow\r\n", "validation": "x\n", "test": "y"}
    for part, text in texts.items():
        (folder / f"{part}.txt.gz").write_bytes(gzip.compress(text.encode()))
    splits = {part: SplitFile(f"{part}.txt.gz", sha256(folder / f"{part}.txt.gz")) for part in texts}
    monkeypatch.setenv("EDGEWRIGHT_DATA", str(tmp_path))
    return replace(sources.find("lm_en"), name="fables", splits=MappingProxyType(splits))


def test_lines_are_those_of_a_part_or_of_all_train_parts(fables: Source) -> None:
    assert lines(fables, "train_old") == ["a fox", "and grapes"]
    assert lines(fables, "train") == ["a fox", "and grapes", "a crow"]
    assert lines(fables, "test") == ["y"]
    with pytest.raises(UsageError, match="fables has no split 'dev'; it has train_old, train_new, validation, test"):
        lines(fables, "dev")


def test_a_set_without_plain_text_is_refused() -> None:
    for name in ("intent_clinc150", "dialogue_sgd", "emails"):
        with pytest.raises(DataError, match=f"{name} has no plain text; use a set such as lm_en"):
            lines(sources.find(name), "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file has no rows; write one text a line"),
        (b"fine\n\xe9", "line 2: not UTF-8 (byte 0); save it as UTF-8"),
        (gzip.compress(b"a", mtime=0), "it looks like gzip: name it .txt.gz"),
    ],
)
def test_wrong_plain_text_is_one_line_with_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        list(read_rows(path, "generation"))
    assert str(raised.value).startswith(str(path)) and message in str(raised.value)


def test_plain_text_is_handed_on_as_it_stands_and_only_for_generation(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" = a \u2028 title = \n\n{'b': 1}\n", encoding="utf-8")
    assert list(read_rows(path, "generation")) == [Row(" = a \u2028 title = "), Row("{'b': 1}")]
    with pytest.raises(DataError, match="not a data file by its name"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (" a two @-@ part , 1 @,@ 234 @.@ 5 story . ", "a two-part, 1,234.5 story."),
        (' he said " no , never " and ( quietly ) left ', 'he said "no, never" and (quietly) left'),
        ("Teddy 's , and they do n't know ; we 'll see : yes !", "Teddy's, and they don't know; we'll see: yes!"),
        ("C 'est ' quoted ' here", "C 'est ' quoted ' here"),
        ("as one writes it, isn't it?", "as one writes it, isn't it?"),
    ],
)
def test_natural_lines(line: str, expected: str) -> None:
    assert natural(line) == expected
    assert natural(expected) == expected


def test_a_stream_ends_every_text() -> None:
    tokenizer = Characters("abc", specials=("end",))
    ids = stream(["ab", "", "c"], tokenizer.encode, 5)
    assert ids.tolist() == [2, 3, 5, 5, 4, 5] and ids.dtype == np.int32
    assert stream([], tokenizer.encode, 5).tolist() == []


@pytest.mark.parametrize("size", [2, 7, 8, 9, 10, 50])
@pytest.mark.parametrize("length", [1, 3, 8])
def test_in_order_every_id_is_a_target_once(size: int, length: int) -> None:
    ids = np.arange(1, size + 1, dtype=np.int32)
    found = windows_of(ids, length)
    assert found.inputs.shape == found.targets.shape and found.inputs.shape[1] == length
    assert found.targets[found.targets > 0].tolist() == ids[1:].tolist()
    there = found.targets > 0
    assert (found.targets[there] == found.inputs[there] + 1).all()


@pytest.mark.parametrize("seed", range(20))
def test_with_a_seed_the_rows_are_whole_disjoint_and_repeat(seed: int) -> None:
    ids = np.arange(1, 101, dtype=np.int32)
    found, again = windows_of(ids, 8, seed), windows_of(ids, 8, seed)
    assert np.array_equal(found.inputs, again.inputs) and np.array_equal(found.targets, again.targets)
    assert (found.targets == found.inputs + 1).all()
    assert len(found.inputs) in (11, 12) and len(np.unique(found.inputs)) == found.inputs.size


def test_seeds_give_other_cuts_and_other_orders() -> None:
    ids = np.arange(1, 101, dtype=np.int32)
    first_ids = {int(windows_of(ids, 8, seed).inputs.min()) for seed in range(40)}
    assert first_ids == set(range(1, 9))
    assert len({tuple(windows_of(ids, 8, seed).inputs[:, 0]) for seed in range(40)}) == 40


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shortest_stream_for_a_row_gives_that_row(seed: int) -> None:
    assert windows_of(np.array([4, 5, 6], np.int32), 2, seed).inputs.tolist() == [[4, 5]]


def test_too_few_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="8 ids are too few for rows of 8"):
        windows_of(np.ones(8, np.int32), 8, seed=0)
    with pytest.raises(ValueError, match="1 ids are too few"):
        windows_of(np.ones(1, np.int32), 8)
    with pytest.raises(ValueError, match="length is 0"):
        windows_of(np.ones(9, np.int32), 0)


@pytest.mark.parametrize("name", ["lm_en", "lm_fr"])
def test_the_real_texts_are_read_and_windows_cover_them(name: str, real_data: Path) -> None:
    source = sources.find(name)
    test = [natural(line) for line in lines(source, "test")]
    assert len(test) > 1000 and all(test) and not any(" @-@ " in line for line in test)
    tokenizer = Characters("".join(sorted(set(normalise("".join(test))))), specials=("end",))
    ids = stream(test, tokenizer.encode, tokenizer.vocab_size - 1)
    found = windows_of(ids, 128)
    assert int((found.targets > 0).sum()) == len(ids) - 1
    assert tokenizer.decode(ids) == normalise("".join(test))
