"""Where the rows of a set come from: `$EDGEWRIGHT_DATA`, the user's cache, or the generator.

The sets are declared in `catalogue.py`. A copy under `$EDGEWRIGHT_DATA/<name>/` or in the cache is read only where its
checksum is the declared one; official splits that `get` fetched from a set's origin lie beside it in the cache.
"""

import difflib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from edgewright.data.catalogue import SOURCES, Source
from edgewright.data.files import inside, read_json, sha256
from edgewright.data.generated import GENERATORS, Generator
from edgewright.data.rows import Kind, Row, read_rows
from edgewright.errors import DataError, UsageError

__all__ = ["SOURCES", "Located", "Source", "cache_folder", "find", "fingerprint", "locate", "rows"]

Flavour = Literal["cleaned", "official", "generated"]
GENERATED_SEED = 0
GENERATED_SPLITS = ("train", "validation", "test")
CARD = "card.json"  # of official splits in the cache; it holds the checksums that the catalogue cannot know


@dataclass(frozen=True)
class Located:
    """The copy of a set that is read here. Reports name its flavour: figures on two flavours do not compare."""

    source: Source
    flavour: Flavour
    folder: Path | None  # None: generated
    digests: Mapping[str, str]  # sha256 by split; for a generated set, of what decides its rows

    @property
    def fingerprint(self) -> str:
        lines = "".join(f"{split} {digest}\n" for split, digest in sorted(self.digests.items()))
        return hashlib.sha256(f"{self.source.name} {self.flavour}\n{lines}".encode()).hexdigest()


def find(name: str) -> Source:
    """The declared set of that name; a UsageError with the closest name where there is none."""
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "`edgewright data list` shows them"
        raise UsageError(f"no data set is called '{name}'; {hint}")
    return SOURCES[name]


def locate(source: Source, count: int | None = None, seed: int | None = None) -> Located:
    """The copy that `rows` reads. `count` and `seed` are for a generated set, and a UsageError for any other.

    Raises:
        DataError: there is no copy here; the message says how to get one.
    """
    if source.generated:
        made_by = GENERATORS[source.name]
        rows_of = f"generator {made_by.version}, {_count(made_by, count)} rows, seed {_seed(seed)}"
        digest = hashlib.sha256(rows_of.encode()).hexdigest()
        return Located(source, "generated", None, MappingProxyType(dict.fromkeys(GENERATED_SPLITS, digest)))
    if count is not None or seed is not None:
        raise UsageError(f"{source.name} is no generated set: it takes neither a count nor a seed")

    declared = MappingProxyType({split: file.sha256 for split, file in source.splits.items()})
    given = os.environ.get("EDGEWRIGHT_DATA")
    for root in [Path(given)] if given else []:
        if (root / source.name).is_dir():
            return Located(source, "cleaned", root / source.name, declared)
    if (cache_folder() / source.name).is_dir():
        return Located(source, "cleaned", cache_folder() / source.name, declared)
    official = official_folder(source)
    if official.is_dir():
        return Located(source, "official", official, MappingProxyType(_official_digests(official)))
    fetch = f"run `edgewright data get {source.name}" + ("`" if source.downloads else " --from FOLDER`")
    raise DataError(
        f"the set {source.name} is not here; {fetch}, or set EDGEWRIGHT_DATA to the folder that holds {source.name}/"
    )


def rows(
    source: Source,
    split: str,
    *,
    kind: Kind | None = None,
    label_field: str = "label",
    count: int | None = None,
    seed: int | None = None,
) -> list[Row]:
    """The rows of one split, in their order.

    Args:
        kind: how to read the rows; None is the set's own kind.
        label_field: the key that holds the label; for the generated e-mails urgency, sentiment, category or intent,
            for the generated log lines anomaly.
        count, seed: of a generated set, all splits together (by default the generator's count, and 0).

    Raises:
        UsageError: the set has no such split; a test-only set is asked for rows to train or tune on.
        DataError: no copy is here, or a file differs from the declared one, or a row is wrong.
    """
    if source.test_only and split != "test":
        raise UsageError(f"{source.name} is for testing only: it has no '{split}' rows, never train or tune on it")
    if source.generated:
        return _generated_rows(source, split, label_field, count, seed)
    located = locate(source, count, seed)
    path = split_path(located, split)
    if not path.is_file():
        raise DataError(f"{path}: the split '{split}' of {source.name} is missing; get the set anew")
    found = sha256(path)
    if found != located.digests[split]:
        raise DataError(
            f"{path}: sha256 {found[:12]}... is not that of {source.name} ({located.digests[split][:12]}...); "
            f"the file was changed or damaged: get the set anew"
        )
    return list(read_rows(path, kind or source.kind, label_field))


def fingerprint(source: Source, count: int | None = None, seed: int | None = None) -> str:
    """One sha256 that changes whenever a row of the set that is read here can change."""
    return locate(source, count, seed).fingerprint


def cache_folder() -> Path:
    """The user's folder for fetched sets: `$XDG_CACHE_HOME/edgewright/data`, else `~/.cache/edgewright/data`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "edgewright" / "data"


def official_folder(source: Source) -> Path:
    return cache_folder() / f"{source.name}-official"


def split_path(located: Located, split: str) -> Path:
    """The file of a split; a UsageError names the splits that there are."""
    if split not in located.digests:
        raise UsageError(f"{located.source.name} has no split '{split}'; it has {', '.join(located.digests)}")
    assert located.folder is not None
    if located.flavour == "official":
        return located.folder / f"{split}.jsonl.gz"
    return inside(located.folder, located.source.splits[split].file)


def generated_splits(source: Source, count: int | None = None, seed: int | None = None) -> Mapping[str, Sequence[Any]]:
    """What a generated set is made of, by split: e-mails, or log lines. None is the default count or seed."""
    made_by = GENERATORS[source.name]
    return made_by.splits(_count(made_by, count), _seed(seed))


def _generated_rows(source: Source, split: str, label_field: str, count: int | None, seed: int | None) -> list[Row]:
    made_by = GENERATORS[source.name]
    if split not in GENERATED_SPLITS:
        raise UsageError(f"{source.name} has no split '{split}'; it has {', '.join(GENERATED_SPLITS)}")
    if label_field not in made_by.label_fields:
        raise UsageError(f"{source.name} has no label '{label_field}'; it has {', '.join(made_by.label_fields)}")
    records = map(made_by.record, generated_splits(source, count, seed)[split])
    return [Row(record["text"], label=record[label_field], language=record.get("language")) for record in records]


def _count(made_by: Generator, count: int | None) -> int:
    return made_by.count if count is None else count


def _seed(seed: int | None) -> int:
    return GENERATED_SEED if seed is None else seed


def _official_digests(folder: Path) -> dict[str, str]:
    card: Any = read_json(folder / CARD)
    files = card.get("files") if isinstance(card, dict) else None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise DataError(f"{folder / CARD}: not the card of a fetched set; remove {folder} and get the set anew")
    return files
