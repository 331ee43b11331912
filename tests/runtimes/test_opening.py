"""What `load` gives for a bundle: the kinds at run time, and what a type checker is told."""

from pathlib import Path
from typing import assert_type

import pytest

import edgewright
from edgewright.data.files import read_json, write_json
from edgewright.errors import UsageError
from edgewright.runtimes.bundle import find, read, zoo
from edgewright.runtimes.entities import EntityPredictor
from edgewright.runtimes.generator import Generator
from edgewright.runtimes.opening import open_predictor
from edgewright.runtimes.predictor import Prediction, Predictor
from edgewright.runtimes.stream import CharacterStream, LogStream, SequenceStream


def test_a_packaged_bundle_is_known_to_be_a_classifier() -> None:
    assert list(zoo()) == ["urgency"]  # the one that the first overload of open_bundle names
    predictor = edgewright.load("urgency")
    assert_type(predictor, Predictor)
    assert_type(predictor.predict("help"), Prediction)
    assert isinstance(predictor, Predictor)


def test_a_folder_may_hold_a_bundle_of_any_kind(tmp_path: Path) -> None:
    opened = edgewright.load(find("urgency"))
    # mypy checks this line: the kinds are named, not Any
    assert_type(opened, Predictor | EntityPredictor | Generator | SequenceStream | CharacterStream | LogStream)
    assert isinstance(opened, Predictor)


def test_the_package_tells_type_checkers_that_it_has_types() -> None:
    assert (Path(str(edgewright.__file__)).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("generation", "kind 'generation', not 'single_label'; use edgewright generate"),
        ("sequence", "read position by position"),
    ],
)
def test_other_kinds_are_no_predictors(tmp_path: Path, kind: str, said: str) -> None:
    manifest = read_json(find("urgency") / "manifest.json")
    manifest["task"]["kind"] = kind
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(UsageError, match=said):
        open_predictor(tmp_path)
    assert read(tmp_path).state_packages == ()
    with pytest.raises(UsageError, match="leave on_prediction out"):
        edgewright.load(tmp_path, on_prediction=print)
