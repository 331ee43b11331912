"""The option that all golden tests share, and the order of the folders."""

from pathlib import Path

import pytest

# `make test` hands out whole files to two processes, in this order: the last ones must be short, or one process waits
LONGEST_FIRST = ("end_to_end", "export", "pipeline", "benchmarks", "runtimes")
TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew; review the diff")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
