"""A set as files that can be looked at, trained on elsewhere or archived: its splits and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.data import sources
from edgewright.data.catalogue import Source
from edgewright.data.files import sha256, write_json
from edgewright.data.generated import GENERATORS
from edgewright.data.rows import Row, write_rows


def prepare(source: Source, out_folder: Path, count: int | None = None, seed: int | None = None) -> dict[str, Any]:
    """Write `<split>.jsonl.gz` for each split and `card.json`, last, into a folder; return the card.

    `count` and `seed` are for generated sets, whose lines hold all their labels: those of e-mails text, language,
    urgency, sentiment, category, intent; those of log lines text, anomaly, hard. The same arguments give the
    same bytes.
    """
    located = sources.locate(source, count, seed)
    records: Mapping[str, list[dict[str, Any]]]
    if source.generated:
        made = sources.generated_splits(source, count, seed)
        records = {split: list(map(GENERATORS[source.name].record, made[split])) for split in made}
    else:
        records = {split: [_record(row) for row in sources.rows(source, split)] for split in located.digests}

    for split, lines in records.items():
        write_rows(out_folder / f"{split}.jsonl.gz", lines)
    generator = None
    if source.generated:
        made_by = GENERATORS[source.name]
        generator = {
            "version": made_by.version,
            "count": made_by.count if count is None else count,
            "seed": sources.GENERATED_SEED if seed is None else seed,
        }
    card = {
        "schema": 1,
        "source": source.name,
        "title": source.title,
        "origin": source.origin,
        "commit": source.commit,
        "licence": source.licence,
        "tier": source.tier,
        "redistributable": source.redistributable,
        "language": source.language,
        "splits": located.flavour,
        "generator": generator,
        "fingerprint": located.fingerprint,
        "counts": {split: len(lines) for split, lines in records.items()},
        "files": {split: sha256(out_folder / f"{split}.jsonl.gz") for split in records},
        "note": source.note,
    }
    write_json(out_folder / "card.json", card)
    return card


def _record(row: Row) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if value is not None}
