"""Fill the user's cache: from a folder that holds a copy of a set, or from the set's origin.

This is the only place that uses the network, and only for sets whose catalogue entry gives an address and a checksum.
"""

import csv
import hashlib
import http.client
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from edgewright.data import sources
from edgewright.data.catalogue import Download, Source
from edgewright.data.files import sha256, write_atomically, write_bytes, write_json
from edgewright.data.rows import write_rows
from edgewright.errors import DataError, UsageError

MAX_DOWNLOAD_BYTES = 200_000_000
TIMEOUT_S = 60.0
VALIDATION_PERCENT = 12  # of BANKING77's training rows: the set has no validation split of its own

Records = list[dict[str, str]]


def get(source: Source, from_folder: Path | None = None) -> sources.Located:
    """Put a set into the cache and return the copy that will be read.

    Args:
        from_folder: holds either the splits in this project's form (`train.jsonl.gz`, ...), directly or in a folder
            named as the set, or the set's original files. None: the original files are fetched from the origin.

    Raises:
        UsageError: the set is generated.
        DataError: a file is missing or is not the declared one, the origin does not answer, or no address is known.
    """
    if source.generated:
        raise UsageError(f"{source.name} is generated here; there is nothing to get")
    if from_folder is not None:
        return _from_folder(source, from_folder)
    if not source.downloads:
        raise DataError(
            f"no address is known for {source.name} (origin: {source.origin}); "
            f"use `edgewright data get {source.name} --from FOLDER`"
        )
    _keep_official(source, {download.file: _download(download) for download in source.downloads})
    return sources.locate(source)


def clinc150(files: Mapping[str, bytes]) -> dict[str, Records]:
    """The official splits of CLINC150 from its `data_full.json`; out-of-scope rows keep the label "oos"."""
    data = json.loads(files["data_full.json"])
    parts = {"train": ("train", "oos_train"), "validation": ("val", "oos_val"), "test": ("test", "oos_test")}
    return {
        split: [{"text": text, "label": label} for key in keys for text, label in data[key]]
        for split, keys in parts.items()
    }


def banking77(files: Mapping[str, bytes]) -> dict[str, Records]:
    """The official train and test splits of BANKING77; 12 % of train, chosen by a hash of the text, is validation."""
    read = {
        split: [
            {"text": row["text"], "label": row["category"]}
            for row in csv.DictReader(io.StringIO(files[f"{split}.csv"].decode("utf-8"), newline=""))
        ]
        for split in ("train", "test")
    }

    def held_out(record: dict[str, str]) -> bool:
        digest = hashlib.sha256(record["text"].encode("utf-8")).digest()
        return int.from_bytes(digest[:4], "big") % 100 < VALIDATION_PERCENT

    return {
        "train": [record for record in read["train"] if not held_out(record)],
        "validation": [record for record in read["train"] if held_out(record)],
        "test": read["test"],
    }


CONVERTERS: Mapping[str, Callable[[Mapping[str, bytes]], dict[str, Records]]] = MappingProxyType(
    {"intent_clinc150": clinc150, "intent_banking77": banking77}
)


def _from_folder(source: Source, folder: Path) -> sources.Located:
    for place in (folder, folder / source.name):
        if all((place / split.file).is_file() for split in source.splits.values()):
            return _keep_copy(source, place)
    if source.downloads and all((folder / download.file).is_file() for download in source.downloads):
        originals = {download.file: (folder / download.file).read_bytes() for download in source.downloads}
        for download in source.downloads:
            _check(originals[download.file], download.sha256, folder / download.file)
        _keep_official(source, originals)
        return sources.locate(source)
    wanted = ", ".join(split.file for split in source.splits.values())
    originally = ", ".join(download.file for download in source.downloads)
    raise DataError(
        f"{folder}: {source.name} is not there; expected {wanted}" + (f", or {originally}" if originally else "")
    )


def _keep_copy(source: Source, folder: Path) -> sources.Located:
    contents = {split.file: (folder / split.file).read_bytes() for split in source.splits.values()}
    for split in source.splits.values():
        _check(contents[split.file], split.sha256, folder / split.file)

    def write(scratch: Path) -> None:
        for file, content in contents.items():
            write_bytes(scratch / file, content)

    write_atomically(sources.cache_folder() / source.name, write)
    return sources.locate(source)


def _keep_official(source: Source, originals: Mapping[str, bytes]) -> None:
    splits = CONVERTERS[source.name](originals)

    def write(scratch: Path) -> None:
        for split, records in splits.items():
            write_rows(scratch / f"{split}.jsonl.gz", records)
        card = {
            "schema": 1,
            "source": source.name,
            "splits": "official",
            "origin": {download.url: download.sha256 for download in source.downloads},
            "counts": {split: len(records) for split, records in splits.items()},
            "files": {split: sha256(scratch / f"{split}.jsonl.gz") for split in splits},
        }
        write_json(scratch / sources.CARD, card)

    write_atomically(sources.official_folder(source), write)


def _download(download: Download) -> bytes:
    by_hand = f"check the network, or fetch {download.file} by hand and use --from FOLDER"
    try:
        with urllib.request.urlopen(download.url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(MAX_DOWNLOAD_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise DataError(f"{download.url}: the server answered {error.code} {error.reason}; {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{download.url}: not reachable ({reason}); {by_hand}") from error
    if len(content) > MAX_DOWNLOAD_BYTES:
        raise DataError(f"{download.url}: larger than {MAX_DOWNLOAD_BYTES} bytes, which cannot be the declared file")
    _check(content, download.sha256, download.url)
    return content


def _check(content: bytes, expected: str, place: Path | str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(
            f"{place}: sha256 {found[:12]}... is not the declared {expected[:12]}...; "
            "the file was changed or damaged and is refused"
        )
