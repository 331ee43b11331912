"""Energy of the processor package, from Linux's running-average-power-limit counters where these are readable.

Source: https://docs.kernel.org/power/powercap/powercap.html. Since Linux 5.10 the counters belong to root, and virtual
machines have none; then energy is "not available", and nothing is estimated in its place.
"""

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """One package's counter, which starts anew above `range_uj`."""

    name: str
    path: Path
    range_uj: int

    def microjoules(self) -> int:
        """The counter now."""
        return int(self.path.read_text())

    def between(self, before: int, after: int) -> int:
        """Microjoules from one reading to a later one, if it started anew at most once."""
        return after - before if after >= before else after - before + self.range_uj


def package_counter(root: Path = POWERCAP) -> Counter | None:
    """The first processor package's counter; None where there is none, or none that this user may read."""
    for folder in sorted(root.glob("*-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            counter = Counter(name, folder / "energy_uj", int((folder / "max_energy_range_uj").read_text()))
            counter.microjoules()
        except (OSError, ValueError):
            continue
        if name.startswith("package"):
            return counter
    return None
