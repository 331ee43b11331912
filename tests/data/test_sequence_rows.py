"""Rows of characters and of log lines: what is given, what is counted, and how surprising what came next was."""

import math

import numpy as np
import pytest

from edgewright.data import generated, log_lines, sources
from edgewright.data.log_features import BUCKETS, LogReader, features, windows
from edgewright.data.plain_text import windows_of
from edgewright.data.sequence_rows import (
    CharacterRows,
    LogRows,
    bits,
    by_line,
    evenly,
    line_inputs,
    line_outputs,
    line_surprise,
    one_hot,
    some,
)
from edgewright.errors import UsageError

IDS = np.array([2, 3, 1, 4, 2], np.int32)  # 1 is unknown
ALL = slice(None)


def test_characters_are_ones_among_zeros_and_targets_are_what_follows() -> None:
    rows = CharacterRows(windows_of(IDS, 3), 5)
    assert len(rows) == 2 and rows.inputs(ALL).shape == (2, 3, 5)
    assert rows.inputs(ALL).argmax(axis=2).tolist() == [[2, 3, 1], [4, 2, 0]]
    assert (rows.inputs(ALL).sum(axis=2) == 1).all()
    assert rows.targets(ALL).tolist() == [[3, 1, 4], [2, 0, 0]]
    assert rows.counted(ALL).tolist() == [[True, False, True], [True, False, False]]


def test_a_model_that_knows_nothing_is_surprised_by_the_size_of_the_vocabulary() -> None:
    rows = CharacterRows(windows_of(IDS, 3), 8)
    surprises = rows.surprises(np.zeros((2, 3, 8), np.float32), ALL)
    assert surprises[0].tolist() == pytest.approx([math.log(8), 0, math.log(8)])
    assert bits(surprises, rows.counted(ALL)) == pytest.approx(3)


def test_a_line_is_as_surprising_as_its_template_its_level_and_its_numbers() -> None:
    outputs = np.zeros(line_outputs(BUCKETS), np.float32)
    line = np.zeros(line_inputs(BUCKETS), np.float32)
    line[7] = line[BUCKETS + 1] = 1
    line[BUCKETS + 4 :] = [2, 0, 0, 0, 0, 0, 0, 0]
    assert line_surprise(outputs, line, BUCKETS) == pytest.approx(math.log(BUCKETS) + math.log(4) + 2)
    wide = outputs.copy()
    wide[BUCKETS + 12] = math.log(2)  # the spread of the first number
    assert line_surprise(wide, line, BUCKETS) == pytest.approx(math.log(BUCKETS) + math.log(4) + math.log(2) + 0.5)
    wide[BUCKETS + 12] = -50  # no number may get a density without end
    assert line_surprise(wide, line, BUCKETS) < 1e4


def test_each_line_of_a_stream_gets_its_own_surprise() -> None:
    lines = log_lines.generate(200, 1, anomalies=True)
    found = windows(features(line.text for line in lines), 8)
    rows = LogRows(found, BUCKETS)
    numbered = np.where(rows.counted(ALL), found.lines, 0).astype(float)
    assert by_line(numbered, found.lines, 200).tolist() == list(range(200))
    part = some(found, [0])
    left = by_line(numbered[:1], part.lines, 200)
    assert np.isnan(left).sum() == 200 - (part.lines >= 0).sum()


def test_rows_are_chosen_evenly() -> None:
    assert evenly(10, None).tolist() == list(range(10))
    assert evenly(10, 3).tolist() == [0, 4, 9]
    assert evenly(2, 3).tolist() == [0, 1]


def test_ids_of_any_shape_become_one_hot() -> None:
    assert one_hot(np.array(1), 3).tolist() == [0, 1, 0]
    assert one_hot(np.array([[0], [2]]), 3).tolist() == [[[1, 0, 0]], [[0, 0, 1]]]


def test_a_log_is_read_line_by_line_as_at_once() -> None:
    texts = [line.text for line in log_lines.generate(300, 2, anomalies=True)]
    reader = LogReader()
    alone = np.stack([reader.read(text)[0] for text in texts])
    assert np.array_equal(alone, features(texts).values)


def test_generated_log_lines_are_a_source_like_others() -> None:
    source = sources.find("log_lines")
    rows = {split: sources.rows(source, split, label_field="anomaly", count=1000) for split in sources.GENERATED_SPLITS}
    assert {split: len(found) for split, found in rows.items()} == {"train": 600, "validation": 200, "test": 200}
    assert {row.label for row in rows["train"]} == {generated.NO_ANOMALY}
    assert {row.label for row in rows["test"]} <= {generated.NO_ANOMALY, *log_lines.ANOMALIES}
    assert sources.fingerprint(source, 1000) != sources.fingerprint(source, 1001)
    with pytest.raises(UsageError, match="log_lines has no label 'urgency'"):
        sources.rows(source, "test", label_field="urgency", count=1000)
