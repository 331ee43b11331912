"""What `edgewright data` answers."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.data import fetch, sources
from edgewright.data import prepare as preparing
from edgewright.data import stats as statistics
from edgewright.data.catalogue import SOURCES, Source
from edgewright.data.generated import GENERATORS
from edgewright.errors import DataError


def list_sources() -> list[dict[str, Any]]:
    """Every declared source, and whether its rows are on this machine."""
    return [
        {
            "name": source.name,
            "title": source.title,
            "licence": source.licence,
            "tier": source.tier,
            "redistributable": source.redistributable,
            "language": source.language,
            "test_only": source.test_only,
            "here": _here(source),
        }
        for source in SOURCES.values()
    ]


def get(name: str, from_folder: Path | None) -> dict[str, Any]:
    """Fill the cache; the folder and the fingerprint of what is there then."""
    located = fetch.get(sources.find(name), from_folder)
    return {"name": name, "folder": str(located.folder), "splits": located.flavour, "fingerprint": located.fingerprint}


def prepare(name: str, out: Path, count: int | None, seed: int | None) -> dict[str, Any]:
    """Write the splits to `out`; the card."""
    return preparing.prepare(sources.find(name), out, count, seed)


def stats(name: str, count: int | None, seed: int | None, label: str | None) -> dict[str, Any]:
    """Figures of every split; rows are counted, texts are never shown.

    `label` is the field that is counted: the e-mails have several, of which urgency is the default.
    """
    source = sources.find(name)
    field = label or (GENERATORS[source.name].label_fields[0] if source.generated else "label")
    located = sources.locate(source, count, seed)
    splits = {
        split: sources.rows(source, split, kind=source.kind, label_field=field, count=count, seed=seed)
        for split in located.digests
    }
    return asdict(statistics.measure(splits, is_log=source.generated and source.kind == "sequence"))


def _here(source: Source) -> bool:
    try:
        sources.locate(source)
    except DataError:
        return False
    return True
