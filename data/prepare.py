"""A set as files that can be looked at, trained on elsewhere or archived: its splits and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.data import emails, sources
from edgewright.data.catalogue import Source
from edgewright.data.files import sha256, write_json
from edgewright.data.rows import Row, write_rows


def prepare(source: Source, out_folder: Path, count: int | None = None, seed: int | None = None) -> dict[str, Any]:
    """Write `<split>.jsonl.gz` for each split and `card.json`, last, into a folder; return the card.

    `count` and `seed` are for the generated e-mails, whose lines hold all their labels: text, language, urgency,
    sentiment, category, intent. The same arguments give the same bytes.
    """
    located = sources.locate(source, count, seed)
    records: Mapping[str, list[dict[str, Any]]]
    if source.generated:
        made = sources.generated_splits(count, seed)
        records = {split: [sources.email_record(email) for email in made[split]] for split in made}
    else:
        records = {split: [_record(row) for row in sources.rows(source, split)] for split in located.digests}

    for split, lines in records.items():
        write_rows(out_folder / f"{split}.jsonl.gz", lines)
    generator = {
        "version": emails.GENERATOR_VERSION,
        "count": sources.GENERATED_COUNT if count is None else count,
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
        "generator": generator if source.generated else None,
        "fingerprint": located.fingerprint,
        "counts": {split: len(lines) for split, lines in records.items()},
        "files": {split: sha256(out_folder / f"{split}.jsonl.gz") for split in records},
        "note": source.note,
    }
    write_json(out_folder / "card.json", card)
    return card


def _record(row: Row) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if value is not None}
