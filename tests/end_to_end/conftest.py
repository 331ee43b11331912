"""Runs that several tests look at, made once a session."""

import os
from pathlib import Path

import pytest

from tests.end_to_end.runs import SMALL, Run, run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("small")
    recipe = folder / "small.toml"
    recipe.write_text(SMALL, encoding="utf-8")
    return run(recipe, folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; a test that needs it skips without."""
    folder = os.environ.get("EDGEWRIGHT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real data sets: set EDGEWRIGHT_DATA to their folder")
    return Path(folder)
