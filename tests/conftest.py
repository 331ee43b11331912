"""The option that all golden tests share, the order of the folders, and a collector of garbage with little to do."""

import gc
from pathlib import Path

import pytest

# `make test` hands out whole files to two processes, in this order: the last ones must be short, or one process waits.
# The longest file goes to one, while the other makes the run that most of end_to_end looks at.
LONGEST_FIRST = ("export/test_families.py", "end_to_end", "export", "pipeline", "benchmarks", "runtimes")
TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew; review the diff")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS)
        return next((i for i, long in enumerate(LONGEST_FIRST) if path.is_relative_to(long)), len(LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Of what is there when a file begins, a million objects of the libraries, nothing is looked through again.

    Converters make so many objects that the collector runs often, and coremltools calls it itself: 0.7 s each time.
    """
    gc.collect()
    gc.freeze()
