"""What the tests of data/ share with the end-to-end ones."""

from tests.end_to_end.conftest import real_data

__all__ = ["real_data"]
