import gzip
import json
from pathlib import Path

import pytest

from edgewright.data.rows import Kind, Row, read_rows, write_rows
from edgewright.errors import DataError


def read(path: Path, content: bytes, kind: Kind = "single_label", label_field: str = "label") -> list[Row]:
    path.write_bytes(content)
    return list(read_rows(path, kind, label_field))


def test_a_text_is_handed_on_as_it_stands(tmp_path: Path) -> None:
    text = "  two  spaces\u2028a line separator\u0000 and e\u0301 \U0001f600 "
    line = json.dumps({"text": text, "label": "a"}, ensure_ascii=False).encode()
    assert read(tmp_path / "a.jsonl", line + b"\n") == [Row(text, label="a")]


def test_a_text_of_one_megabyte_is_read(tmp_path: Path) -> None:
    text = "word " * 200_000
    (row,) = read(tmp_path / "a.jsonl", json.dumps({"text": text, "label": "a"}).encode())
    assert row.text == text


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"text": "a", "label": "x"}\r\n\r\n{"text": "b", "label": "y", "lang": "fr"}'
    assert read(tmp_path / "a.jsonl", content) == [Row("a", label="x"), Row("b", label="y", language="fr")]


def test_each_kind_reads_its_fields(tmp_path: Path) -> None:
    lines: list[tuple[Kind, dict[str, object], Row]] = [
        ("multi_label", {"text": "a", "labels": ["x", "y"]}, Row("a", labels=("x", "y"))),
        ("multi_label", {"text": "a", "labels": []}, Row("a", labels=())),
        ("tags", {"tokens": ["a", "b"], "tags": ["O", "B-X"]}, Row("a b", tokens=("a", "b"), tags=("O", "B-X"))),
        ("generation", {"text": "a", "response": "b"}, Row("a", response="b")),
        ("score", {"text": "a", "label": 3}, Row("a", label=3.0)),
    ]
    for kind, record, row in lines:
        assert read(tmp_path / "a.jsonl", json.dumps(record).encode(), kind) == [row]


def test_the_label_field_is_preferred_and_label_is_its_fallback(tmp_path: Path) -> None:
    content = b'{"text": "a", "label": "x", "urgency": "low"}\n{"text": "b", "label": "high"}'
    rows = read(tmp_path / "a.jsonl", content, label_field="urgency")
    assert [row.label for row in rows] == ["low", "high"]


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        ("single_label", b'{"label": "a"}', "the row has no 'text'"),
        ("single_label", b'{"text": null, "label": "a"}', "the row has no 'text'"),
        ("single_label", b'{"text": 5, "label": "a"}', "'text' is a number, not a string"),
        ("single_label", b'{"text": " \\n", "label": "a"}', "the text is empty"),
        ("single_label", b'{"text": "a"}', "the row has no 'label'"),
        ("single_label", b'{"text": "a", "label": ""}', "'label' is empty"),
        ("single_label", b'{"text": "a", "label": ["b"]}', "'label' is a list, not a string"),
        ("single_label", b'{"text": "a", "label": true}', "'label' is a boolean, not a string"),
        ("single_label", b'{"text": "a", "label": "b", "language": 1}', "'language' is a number"),
        ("single_label", b'{"text": "\\ud83d", "label": "a"}', "half of a surrogate pair"),
        ("single_label", b'["a", "b"]', "a list, not an object"),
        ("single_label", b"null", "a null, not an object"),
        ("single_label", b"text,label", "not JSON"),
        ("single_label", b'{"text": "a", ', "not JSON"),
        ("single_label", b"[" * 100_000, "not JSON"),
        ("single_label", b'{"text": "\xe9", "label": "a"}', "not UTF-8 (byte 10)"),
        ("multi_label", b'{"text": "a", "labels": "b"}', "'labels' is not a list of strings"),
        ("tags", b'{"tokens": ["a"], "tags": []}', "1 tokens but 0 tags"),
        ("generation", b'{"text": "a"}', "the row has no 'response'"),
        ("score", b'{"text": "a", "label": NaN}', "'label' is not a finite number"),
    ],
)
def test_a_wrong_row_is_one_line_with_file_and_line(tmp_path: Path, kind: Kind, line: bytes, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    good = b'{"text": "a", "label": 1, "labels": [], "tokens": ["a"], "tags": ["O"], "response": "b"}\n'
    if kind == "single_label":
        good = b'{"text": "a", "label": "x"}\n'
    with pytest.raises(DataError) as raised:
        read(path, good + b"\n" + line, kind)
    assert str(raised.value).startswith(f"{path}, line 3: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="the file has no rows"):
        read(tmp_path / "a.jsonl", content)


def test_damaged_gzip_is_one_line_with_the_file(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b'{"text": "%d", "label": "a"}\n' % i for i in range(5000)))
    path = tmp_path / "a.jsonl.gz"
    flipped = bytearray(packed)
    flipped[len(flipped) // 2] ^= 0xFF
    for content, message in [
        (packed[: len(packed) // 2], "ends early or is damaged"),
        (bytes(flipped), "damaged"),
        (b"plain", "not a gzip file"),
    ]:
        with pytest.raises(DataError, match=message) as raised:
            read(path, content)
        assert str(raised.value).startswith(str(path))


def test_a_missing_file_a_folder_and_another_suffix_are_explained(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name, message in [("no.jsonl", "no such file"), ("folder.jsonl", "not readable"), ("a.csv", "not a data file")]:
        with pytest.raises(DataError, match=message):
            list(read_rows(tmp_path / name))


def test_gzip_under_a_plain_name_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"name it \.jsonl\.gz"):
        read(tmp_path / "a.jsonl", gzip.compress(b"{}"))


def test_written_rows_are_read_back_and_have_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    records = [{"text": "é\n", "label": "a"}, {"text": "b", "label": "ü"}]
    write_rows(tmp_path / "one.jsonl.gz", records)
    write_rows(tmp_path / "two.jsonl.gz", records)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    assert [(row.text, row.label) for row in read_rows(tmp_path / "one.jsonl.gz")] == [("é\n", "a"), ("b", "ü")]
