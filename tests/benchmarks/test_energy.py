"""Energy counters in the form in which Linux gives them."""

from pathlib import Path

import pytest

from edgewright.benchmarks.energy import package_counter


def write(root: Path, folder: str, name: str, microjoules: str | None) -> None:
    (root / folder).mkdir(parents=True)
    (root / folder / "name").write_text(f"{name}\n")
    (root / folder / "max_energy_range_uj").write_text("262143328850\n")
    if microjoules is not None:
        (root / folder / "energy_uj").write_text(f"{microjoules}\n")


def test_the_package_is_read_and_not_one_of_its_parts(tmp_path: Path) -> None:
    write(tmp_path, "intel-rapl:0:0", "core", "5")
    write(tmp_path, "intel-rapl:0", "package-0", "123456")
    counter = package_counter(tmp_path)
    assert counter is not None
    assert (counter.name, counter.microjoules()) == ("package-0", 123456)


def test_a_counter_that_starts_anew_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, "intel-rapl:0", "package-0", "0")
    counter = package_counter(tmp_path)
    assert counter is not None
    assert counter.between(262143328840, 40) == 50
    assert counter.between(10, 40) == 30


@pytest.mark.parametrize("microjoules", [None, "", "?"])
def test_what_cannot_be_read_is_not_available(tmp_path: Path, microjoules: str | None) -> None:
    write(tmp_path, "intel-rapl:0", "package-0", microjoules)
    assert package_counter(tmp_path) is None


def test_a_machine_without_counters_has_none(tmp_path: Path) -> None:
    assert package_counter(tmp_path / "powercap") is None
