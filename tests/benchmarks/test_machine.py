"""The fingerprint says what matters, and nothing about whose machine it is."""

import getpass
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks import machine


def test_versions_are_those_of_the_imported_libraries() -> None:
    assert machine.fingerprint().versions["numpy"] == np.__version__


def test_the_machine_has_cores_and_a_processor() -> None:
    here = machine.fingerprint()
    assert 1 <= here.usable_cores <= here.logical_cores and here.cpu


def test_neither_host_nor_user_is_named() -> None:
    words = str(asdict(machine.fingerprint()))
    assert platform.node() not in words
    assert str(Path.home()) not in words and f"'{getpass.getuser()}'" not in words


def test_an_installed_package_does_not_claim_the_commit_of_the_folder_around_it(tmp_path: Path) -> None:
    assert machine._git(tmp_path) == (None, None)


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_only_flags_that_choose_kernels_are_kept() -> None:
    assert set(machine.fingerprint().cpu_flags) <= set(machine.KERNEL_FLAGS)
