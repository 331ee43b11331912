"""Fixtures of the benchmark tests. The sample is a file of its own, so that it can also be rendered by hand."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from edgewright.benchmarks.record import RunRecord
from edgewright.benchmarks.reports.run_report import Details


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """tests/benchmarks/sample_record.py; pytest's importlib mode puts no test folder on the path."""
    spec = importlib.util.spec_from_file_location("sample_record", Path(__file__).with_name("sample_record.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def record(sample: ModuleType) -> RunRecord:
    return sample.sample_record()


@pytest.fixture
def details(sample: ModuleType) -> Details:
    return sample.sample_details()
