"""Files that are either whole or absent: atomic writes, checksums, and paths that stay inside a folder."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.errors import DamagedFileError, EdgewrightError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary neighbour of `path` (a file or a folder), then move it into place.

    A kill or a full disk leaves the old `path`, or none; never a part of the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix is kept: exporters look at it
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        written = scratch / path.name
        write(written)
        _flush_to_disk(written)
        if path.is_dir():
            os.replace(path, scratch / "previous")  # a folder cannot be replaced by one rename
        os.replace(written, path)
    except Exception as error:
        if _disk_is_full(error):
            raise EdgewrightError(f"{path}: the disk is full; free some space and run again") from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda scratch: _write(scratch, content))


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Sorted neither here nor by the reader: the order of the keys is the author's."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; a missing, non-UTF-8 or malformed file is a DamagedFileError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path}: no such file") from error
    except (ValueError, RecursionError, OSError) as error:  # ValueError: no UTF-8, no JSON, or an endless number
        raise DamagedFileError(f"{path}: not readable as JSON ({error}); get the file anew") from error


def sha256(path: Path) -> str:
    """Hex digest of a file; of a folder, over the sorted relative names and contents of its files."""
    digest = hashlib.sha256()
    if path.is_dir():
        relative = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        for name in relative:
            digest.update(name.encode() + b"\0" + sha256(path / name).encode() + b"\n")
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def size_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def inside(folder: Path, relative: str) -> Path:
    """`folder / relative`, refused when it leaves the folder (absolute, `..`, or a link that points out)."""
    path = folder / relative
    if Path(relative).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise DamagedFileError(f"{folder}: the path '{relative}' leaves the folder; do not use this bundle")
    return path


def _disk_is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    # libraries that write with C++ or Rust only say it in words
    return "No space left on device" in str(error)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _flush_to_disk(path: Path) -> None:
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
