"""Runs that several tests look at, made once a session."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.end_to_end.runs import SMALL, Done, Run, edgewright, run

# int8 even where this machine is faster, or by noise seems faster, with float32
SHIP = """
[export.ship]
executorch = "dynamic_wi8_afp32"
litert = "dynamic_wi8_afp32"
coreml = "weight_only_wi8_afp16"
onnx = "dynamic_wi8_afp32"
"""


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Made by the process that asks first, for all processes of the session."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "small"
    folder.mkdir(exist_ok=True)
    kept = folder / "done.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            recipe = folder / "small.toml"
            recipe.write_text(SMALL + SHIP, encoding="utf-8")
            kept.write_text(json.dumps(asdict(run(recipe, folder, edgewright).done)), encoding="utf-8")
    return Run.of(folder, Done(**json.loads(kept.read_text(encoding="utf-8"))))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; a test that needs it skips without."""
    folder = os.environ.get("EDGEWRIGHT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real data sets: set EDGEWRIGHT_DATA to their folder")
    return Path(folder)
